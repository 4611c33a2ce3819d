#!/bin/sh
# Gets what the stack needs on this machine, then hands over to it: bootstrap.sh COMMAND ARGUMENTS...
# With "want NAME..." it only installs these Debian packages, for which it calls itself under sudo with "packages NAME...";
# with "exec MODULE ARGUMENTS..." it runs a Python module of .stack/venv.
set -eu
cd "$(dirname "$0")/../.."
VENV=.stack/venv

say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# Prints the real path of the first Python that can make the environment: 3.12 or later with venv and pip, and with its
# C headers, since NetBox's database driver is compiled. 3.14 comes last: fewer packages are built for it yet.
# PROXSYNC_STACK_PYTHON=3.12 takes that version only.
find_python() {
    for version in ${PROXSYNC_STACK_PYTHON:-3.13 3.12 3.14}; do
        for python in "python$version" python3 "$HOME"/.pyenv/versions/"$version"*/bin/python3 uv; do
            [ "$python" != uv ] || python=$(uv python find --no-project "$version" 2>/dev/null) || continue
            has "$python" || continue
            "$python" - "$version" 2>/dev/null <<'PYTHON' && return
import os, sys, sysconfig
assert '%d.%d' % sys.version_info[:2] == sys.argv[1]
import ensurepip, venv
assert os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h'))
print(os.path.realpath(sys.executable))
PYTHON
        done
    done
    return 1
}

has_libpq() { has pg_config && [ -f "$(pg_config --includedir 2>/dev/null)/libpq-fe.h" ]; }

has_postgres() {
    for directory in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "$(pg_config --bindir 2>/dev/null)" \
            /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin "$(dirname "$(command -v initdb)")"; do
        [ -x "$directory/initdb" ] && [ -x "$directory/postgres" ] || continue
        major=$("$directory/postgres" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
        [ "$major" -lt 15 ] || return 0
    done
    return 1
}

has_redis() { PATH="$PATH:/usr/sbin"; has redis-server || has valkey-server; }

# What only the tests need: an SSH server that stands for a node, the command that it is asked for, and a browser.
has_sshd() { PATH="$PATH:/usr/sbin:/usr/local/sbin"; has sshd; }
has_ip() { PATH="$PATH:/usr/sbin:/sbin"; has ip; }
has_chromium() { has "${CHROMIUM:-chromium}" || has chromium-browser || has google-chrome || has google-chrome-stable; }

# Ubuntu has Chromium as a snap only, which does not run everywhere: there it is Playwright's own, in .stack.
is_ubuntu() { grep -qs '^ID=ubuntu' /etc/os-release; }
export PLAYWRIGHT_BROWSERS_PATH="$PWD/.stack/browsers"


# The version of the Debian package that apt would install, as a number: "3.12" gives 312, "15+248" gives 1500.
candidate() {
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9]*\)\.\{0,1\}\([0-9]*\).*/\2 \3/p' |
        awk '{ print $1 * 100 + $2 }'
}

POLICY=/usr/sbin/policy-rc.d
CLUSTERS=/etc/postgresql-common/createcluster.conf
ASIDE=$CLUSTERS.netbox-proxsync

# Puts back how apt was set up, also after an installation that was killed.
restore_apt() {
    ! grep -qs netbox-proxsync $POLICY || rm -f $POLICY
    [ ! -f $ASIDE ] || mv -f $ASIDE $CLUSTERS
}

# No package may start a service, neither now nor at the next boot: neither a PostgreSQL cluster nor a Redis nor an SSH
# server of the system's own is wanted.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    restore_apt
    trap restore_apt EXIT
    trap 'exit 1' HUP INT TERM
    if [ ! -e $POLICY ]; then
        printf '#!/bin/sh\n# of netbox-proxsync, while it installs packages\nexit 101\n' >$POLICY
        chmod 755 $POLICY
    fi
    had_redis=no
    ! has redis-server || had_redis=yes
    case " $* " in *" postgresql "*) apt-get install -y --no-install-recommends postgresql-common ;; esac
    if [ -f $CLUSTERS ]; then
        cp -p $CLUSTERS $ASIDE
        sed -i '/^ *create_main_cluster/d; $a create_main_cluster = false' $CLUSTERS
    fi
    apt-get install -y --no-install-recommends "$@"
    case "$had_redis $*" in "no "*redis-server*) ! has systemctl || systemctl disable redis-server ;; esac
    case " $* " in *" openssh-server "*) ! has systemctl || systemctl disable ssh.service ssh.socket || : ;; esac
}

# Ends with an explanation when the wanted packages are too old in this distribution. Says nothing when apt has not yet
# been told what there is.
check_versions() {
    version=$(candidate python3)
    case " $* " in *" python3-venv "*) [ "${version:-312}" -ge 312 ] || no_python ;; esac
    version=$(candidate postgresql)
    case " $* " in *" postgresql "*) [ "${version:-1500}" -ge 1500 ] || no_postgres ;; esac
}

# Installs the packages with apt, as root or by sudo; otherwise says what to install, and ends.
want_packages() {
    if ! has apt-get; then
        say "Missing on this machine (by the names that Debian has for them): $*"
        say 'Install them and try again.'
        exit 1
    fi
    check_versions "$@"
    if [ "$(id -u)" = 0 ]; then sudo=
    elif has sudo && sudo -n true 2>/dev/null; then sudo='sudo -n'
    elif has sudo && [ -t 0 ]; then sudo=sudo
    else
        say "Missing on this machine: $*"
        say "Install it as root and try again:  apt-get install $*"
        exit 1
    fi
    say "Installing with apt: $*"
    $sudo apt-get update -q >&2
    check_versions "$@"
    $sudo sh tests/stack/bootstrap.sh packages "$@" >&2
}

no_python() {
    say 'NetBox 4.7 needs Python 3.12 or later, with venv and the C headers, and this machine has none that you may run.'
    say 'Looked for: python3.13, python3.12, python3.14 and python3 in PATH, ~/.pyenv/versions, uv.'
    say 'Get one and try again:'
    say '    pyenv install 3.13               (https://github.com/pyenv/pyenv)'
    say '    uv python install 3.13           (https://docs.astral.sh/uv)'
    say '    apt install python3-venv python3-dev   (Debian 13, Ubuntu 24.04 or later)'
    say '    dnf install python3.13-devel           (Fedora)'
    exit 1
}

no_postgres() {
    say 'NetBox 4.7 needs PostgreSQL 15 or later, and this distribution has an older one.'
    say "Get it from PostgreSQL's own packages (https://www.postgresql.org/download/linux/) and try again."
    exit 1
}

make_ready() {
    missing=
    python=
    if ! "$VENV/bin/python" -m tests.stack.venv current 2>/dev/null; then
        python=$(find_python) || missing='python3-venv python3-dev'
        has cc || has gcc || missing="$missing gcc libc6-dev"
        has_libpq || missing="$missing libpq-dev"
    fi
    has_postgres || missing="$missing postgresql"
    has_redis || missing="$missing redis-server"
    if [ "${1:-}" = test ]; then
        has_sshd || missing="$missing openssh-server"
        has_ip || missing="$missing iproute2"
        has_chromium || is_ubuntu || missing="$missing chromium"
    fi
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # a list of names
        want_packages $missing
        case "$missing" in *python3-venv*) python=$(find_python) || no_python ;; esac
    fi
    [ -z "$python" ] || "$python" -m tests.stack.venv
    if [ "${1:-}" = test ] && is_ubuntu && ! has_chromium; then
        "$VENV/bin/python" -m playwright install --with-deps --only-shell chromium >&2 ||
            say 'No Chromium could be had. Name one in CHROMIUM; without it the tests in tests/browser fail.'
    fi
}

case "${1:-}" in
packages)
    shift
    install_packages "$@"
    ;;
stop | clean)
    # Neither needs a complete environment, and neither is the moment to make one.
    [ -d .stack ] || { say 'Nothing was ever started here.'; exit 0; }
    python=$VENV/bin/python
    "$python" -c '' 2>/dev/null || python=$(find_python) || no_python
    exec "$python" -m tests.stack "$1"
    ;;
want)
    shift
    want_packages "$@"
    ;;
exec)
    shift
    make_ready
    exec "$VENV/bin/python" -m "$@"
    ;;
*)
    make_ready "${1:-}"
    exec "$VENV/bin/python" -m tests.stack "$@"
    ;;
esac
