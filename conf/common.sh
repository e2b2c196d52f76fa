# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What conf/up and t/run share: the Debian packages that building needs, and
# the build itself.  Sourced from the top of the tree; installs nothing but
# packages, and starts no service.

BUILD_PACKAGES="nginx nginx-dev gcc libc6-dev make perl curl libsodium-dev
                libssl-dev zlib1g-dev libjansson-dev libsqlite3-dev"

# For the MongoDB adapter, which is left out where it cannot be had.

MONGO_PACKAGES="libmongoc-dev"


# Makes sure that packages are installed: as root on Debian by installing
# them, otherwise by saying what is missing.  Without dpkg there is nothing to
# ask; conf/build names the headers that it misses then.

packages_require() {
    local who=$1 missing= name
    shift

    command -v dpkg-query > /dev/null || return 0

    for name; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2> /dev/null)" \
              = installed ] || missing="$missing $name"
    done

    [ -n "$missing" ] || return 0

    if [ "$(id -u)" != 0 ]; then
        echo "$who: missing packages; run as root: apt-get install$missing" >&2
        return 1
    fi

    echo "$who: installing$missing"
    packages_install $missing && return

    echo "$who: apt-get could not install$missing" >&2
    return 1
}


# The same, but what cannot be had is only said.

packages_wish() {
    local who=$1 what=$2
    shift 2

    (packages_require "$who" "$@") \
        || echo "$who: going on without $what" >&2
}


# The nginx package would start its own server on port 80.  Debian's way to
# ask for packages without their services is policy-rc.d; one that is there
# already is left alone.

packages_install() {
    local policy=/usr/sbin/policy-rc.d status

    if [ -e $policy ]; then
        policy=

    else
        printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy
        trap "rm -f $policy" EXIT
    fi

    export DEBIAN_FRONTEND=noninteractive

    apt-get -qq install -y --no-install-recommends "$@" \
            > /dev/null 2>&1 < /dev/null \
        || { apt-get -qq update < /dev/null \
             && apt-get -qq install -y --no-install-recommends "$@" \
                    > /dev/null < /dev/null; }
    status=$?

    if [ -n "$policy" ]; then
        rm -f $policy
        trap - EXIT
    fi

    return $status
}


# The build, as whoever owns the tree: "sudo conf/up" must not leave files of
# root in somebody's clone.

build_tree() {
    local owner
    owner=$(stat -c %u:%g .)

    if [ "$(id -u)" != 0 ] || [ "${owner%:*}" = 0 ] \
       || { [ -e .build ] && [ "$(stat -c %u:%g .build)" != "$owner" ]; }
    then
        conf/build "$@"
        return
    fi

    setpriv --reuid="${owner%:*}" --regid="${owner#*:}" --clear-groups \
            conf/build "$@"
}
