# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034,SC2154
#
# packages.sh - what tools/demo and tools/check share: packages and the build
#
# Sourced, not run; $me is the script's name, $top the source tree. Nothing is touched if all packages are there; apt-get
# update is run only when an installation fails without it.

# To build, and to run a guest as an ordinary user (uidmap).
build_packages='meson ninja-build pkg-config gcc libc6-dev libseccomp-dev libcap-dev libinih-dev
	libjansson-dev libaio-dev libfuse3-dev libext2fs-dev libncurses-dev libcmocka-dev scdoc uidmap python3'
# What the tests look for beyond that.
test_packages='bubblewrap strace busybox-static clang util-linux procps passwd debootstrap
	iproute2 gdb musl-tools openssl golang-github-containers-common golang-go redis-server redis-tools
	e2fsprogs fdisk uml-utilities user-mode-linux qemu-utils htop nodejs default-jre-headless
	iputils-ping make file postgresql'

# The packages of "$@" that are not installed.
missing_packages()
{
	for name; do
		dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed ||
			echo "$name"
	done
}

# Run a command as root.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "$me: not root and no sudo: cannot run $*" >&2
		return 1
	fi
}

apt_install()
{
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# The packages of "$@" that apt can install; not every distribution has each.
known_packages()
{
	for name; do
		LC_ALL=C apt-cache policy "$name" 2>/dev/null | grep -q '^  Candidate: [^(]' && echo "$name"
	done
}

# Install what is missing of "$@". Return: 1 if that cannot be done for all.
install_packages()
{
	if ! command -v dpkg-query >/dev/null; then
		echo "$me: no dpkg here: these must be there already: $*"
		return 0
	fi
	missing=$(missing_packages "$@" | tr '\n' ' ')
	if [ -z "$missing" ]; then
		echo "packages: all are there"
		return 0
	fi
	echo "packages: installing $missing"
	# shellcheck disable=SC2086
	apt_install $missing >/dev/null 2>&1 && return 0
	as_root apt-get update -qq </dev/null || return 1
	# shellcheck disable=SC2046,SC2086
	apt_install $(known_packages $missing) >/dev/null
	# shellcheck disable=SC2086
	missing=$(missing_packages $missing | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	echo "$me: could not be installed: $missing" >&2
	return 1
}

# configure DIR OPTION...: a build directory, new or not.
configure()
{
	dir=$1
	shift
	if [ -f "$dir/meson-private/coredata.dat" ]; then
		meson setup --reconfigure "$dir" "$top" "$@" && return 0
		rm -rf "$dir"
	fi
	meson setup "$dir" "$top" "$@"
}
