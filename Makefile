# Everything that these targets create is in .stack/. They call tests/stack/.
STACK := @sh tests/stack/bootstrap.sh

# Some shells export a HOST of their own, which must not be used here.
ifeq ($(origin HOST),command line)
HOST_OPTION := --host '$(HOST)'
endif

.DEFAULT_GOAL := help
.PHONY: help demo up netbox test quick coverage mutants screenshots bench bench-pages messages docs lint dist dist-check address
.PHONY: stop clean

help: ## show this
	@echo 'netbox-proxsync: a NetBox of its own, in .stack/ of this checkout. Targets:'
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20
	@echo
	@echo 'make demo PVE_HOST=... PVE_TOKEN_ID=... PVE_TOKEN_SECRET=... uses a real Proxmox VE instead of the stand-in.'
	@echo 'To keep the secret out of the list of processes, set it before the command: PVE_TOKEN_SECRET=... make demo'

demo: ## NetBox with the plugin and a generated Proxmox VE cluster (HOST=0.0.0.0: reachable from other machines)
	$(STACK) demo $(HOST_OPTION)

up: ## NetBox with the plugin and no data (HOST=0.0.0.0: reachable from other machines)
	$(STACK) up $(HOST_OPTION)

netbox: ## a NetBox command, for example: make netbox CMD="nbshell"
	$(STACK) netbox $(CMD)

test: ## all tests, or for example: make test ARGS="tests/proxmox -k token"
	$(STACK) test $(ARGS)

quick: ## the tests of proxmox/ and sync/, without NetBox
	@sh tests/stack/bootstrap.sh exec tests.stack.quick $(ARGS)

screenshots: ## create the pictures in assets/ with the browser tests
	@SCREENSHOTS=assets sh tests/stack/bootstrap.sh test tests/browser -q

bench: ## measure syncs of 100, 1,000 and 10,000 guests, or for example: make bench ARGS="--guests 1000"
	@sh tests/stack/bootstrap.sh exec tests.bench $(ARGS)

bench-pages: ## measure the time to the first byte of every page with 10,000 guests, or for example: make bench-pages ARGS="--only run --times 1"
	@sh tests/stack/bootstrap.sh exec tests.bench.pages $(ARGS)

messages: ## collect the texts for translators, and compile the translations, or for example: make messages ARGS="--untranslated de"
	@sh tests/stack/bootstrap.sh exec tests.stack.messages $(ARGS)

mutants: ## run mutation tests of the code that decides about data
	@sh tests/stack/bootstrap.sh exec tests.stack.mutants $(ARGS)

coverage: ## run all tests and measure branch coverage; slower than make test
	@sh tests/stack/bootstrap.sh exec tests.stack.coverage

lint: ## check style, format, imports, docstrings, types and unused code
	@sh tests/stack/bootstrap.sh exec tests.stack.lint

docs: ## build the documentation as a website, in .stack/site
	@sh tests/stack/bootstrap.sh exec tests.stack.docs

dist: ## build the sdist and the wheel, in dist/
	@sh tests/stack/bootstrap.sh exec tests.stack.release dist

dist-check: ## build them, install the wheel into a clean environment, check it with NetBox, and write dist/sbom.cdx.json
	@sh tests/stack/bootstrap.sh exec tests.stack.release check

address: ## set the public address of the repository: make address URL=https://github.com/owner/netbox-proxsync
	@sh tests/stack/bootstrap.sh exec tests.stack.release address '$(URL)'

stop: ## stop everything that runs
	$(STACK) stop

clean: ## stop and remove everything that was created, including databases (except packages installed by apt)
	$(STACK) clean
