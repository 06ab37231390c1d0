# SPDX-License-Identifier: Apache-2.0
# repository.sh - in a Debian guest: a repository of one package, which apt-get installs
set -e
mkdir -p /srv/p/DEBIAN /srv/p/usr/bin /srv/repo
cat >/srv/p/DEBIAN/control <<E
Package: weir-test
Version: 1.0
Architecture: all
Maintainer: T <t@example.org>
Description: test
E
printf '#!/bin/sh\nset -e\ngroupadd -f weirgroup\necho configured\n' >/srv/p/DEBIAN/postinst
printf '#!/bin/sh\necho hello from the package\n' >/srv/p/usr/bin/weir-test
chmod 755 /srv/p/DEBIAN/postinst /srv/p/usr/bin/weir-test
cd /srv/repo
dpkg-deb --root-owner-group --build /srv/p weir-test.deb
{ dpkg-deb -f weir-test.deb; echo "Filename: ./weir-test.deb"; stat -c 'Size: %s' weir-test.deb
  sha256sum weir-test.deb | sed 's/\(.*\) .*/SHA256: \1/'; } >Packages
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
apt-get update
apt-get install -y weir-test
