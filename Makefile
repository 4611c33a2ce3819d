# Everything these targets make is in .stack/; the work is done by tests/stack/.
STACK := @sh tests/stack/bootstrap.sh

# Some shells export their own HOST, which is not the one meant here.
ifeq ($(origin HOST),command line)
HOST_OPTION := --host '$(HOST)'
endif

.DEFAULT_GOAL := help
.PHONY: help demo up netbox test quick coverage mutants screenshots bench bench-pages messages lint stop clean

help: ## show this
	@echo 'netbox-proxsync: a NetBox of its own, in .stack/ of this checkout. Targets:'
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20
	@echo
	@echo 'make demo PVE_HOST=... PVE_TOKEN_ID=... PVE_TOKEN_SECRET=... takes a real Proxmox instead of the stand-in.'
	@echo 'A secret that must not show in the list of processes goes before the command: PVE_TOKEN_SECRET=... make demo'

demo: ## NetBox with the plugin and a whole Proxmox cluster in it (HOST=0.0.0.0 to be seen from elsewhere)
	$(STACK) demo $(HOST_OPTION)

up: ## NetBox with the plugin and no data (HOST=0.0.0.0 to be seen from elsewhere)
	$(STACK) up $(HOST_OPTION)

netbox: ## a NetBox command, for example: make netbox CMD="nbshell"
	$(STACK) netbox $(CMD)

test: ## all tests, or for example: make test ARGS="tests/proxmox -k token"
	$(STACK) test $(ARGS)

quick: ## the tests of the packages that need no NetBox, in seconds
	@sh tests/stack/bootstrap.sh exec tests.stack.quick $(ARGS)

screenshots: ## pictures of the main pages for the docs, in assets/, made by the tests in the browser
	@SCREENSHOTS=assets sh tests/stack/bootstrap.sh test tests/browser -q

bench: ## how long syncs of 100, 1,000 and 10,000 guests take, or for example: make bench ARGS="--guests 1000"
	@sh tests/stack/bootstrap.sh exec tests.bench $(ARGS)

bench-pages: ## first byte of every page at 10,000 guests, or for example: make bench-pages ARGS="--only run --times 1"
	@sh tests/stack/bootstrap.sh exec tests.bench.pages $(ARGS)

messages: ## collect the texts for translators, and compile the translations, in netbox_proxsync/locale/
	@sh tests/stack/bootstrap.sh exec tests.stack.messages

mutants: ## change the code that decides about data, and look whether the tests notice
	@sh tests/stack/bootstrap.sh exec tests.stack.mutants $(ARGS)

coverage: ## all tests, measuring which branches they take; slower than make test
	@sh tests/stack/bootstrap.sh exec tests.stack.coverage

lint: ## the linter, the format, and which part imports which
	@sh tests/stack/bootstrap.sh exec tests.stack.lint

stop: ## end everything that runs
	$(STACK) stop

clean: ## end it and remove all that was made, databases too (packages that apt installed stay)
	$(STACK) clean
