# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by scripts that install Debian packages: pipelines/demo.sh, tests/run.sh.
# shellcheck shell=sh

# Tools of the system first: another python3 or meson in PATH would not find Debian's modules.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export PATH

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# Prints those of the given packages that are not installed. NAME:ARCH is one of another architecture.
missing_packages() {
    native=$(dpkg --print-architecture)
    for package in "$@"; do
        case $package in
        *:*) architecture=${package##*:} ;;
        *) architecture=$native ;;
        esac
        dpkg-query -W -f='${Architecture} ${db:Status-Status}\n' "$package" 2>/dev/null |
            grep -qxE "($architecture|all) installed" || echo "$package"
    done
}

# install_packages LOG PACKAGE...: says what is missing and installs it; apt-get's own words go into LOG.
install_packages() {
    log=$1
    shift
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    echo "Installing Debian packages: $missing"
    # shellcheck disable=SC2086 # a list of words
    if ! { apt update && apt install --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -5 "$log" >&2
        echo "apt-get could not install them; see $log" >&2
        return 1
    fi
}
