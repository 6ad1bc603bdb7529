#!/bin/sh
# Installs what is missing to build, demonstrate, test or measure rkt on Debian 12: Debian packages and the
# npm packages of package-lock.json. It says what it will install before it does, changes nothing when all is
# there (about 0.05 s), and starts no service.
#
# usage: setup.sh [build|demo|test|bench]
set -eu

purpose=${1:-build}
cd "$(dirname "$0")/.."

# What rkt itself runs, and what its stage1 image is made from.
packages="systemd systemd-container dbus containernetworking-plugins iptables iproute2 gpgv gnupg
	tar gzip xz-utils zstd bzip2 util-linux ca-certificates gcc libc6-dev libseccomp2 libseccomp-dev"
case $purpose in
	build) ;;
	demo) packages="$packages openssl curl" ;;
	test) packages="$packages openssl busybox-static acl attr zsh fish groff-base jq qemu-system-x86 user-mode-linux e2fsprogs apparmor checkpolicy
		docker-registry skopeo umoci buildah" ;;
	bench) packages="$packages busybox-static time docker-registry skopeo umoci podman" ;;
	*)
		echo "setup: unknown purpose '$purpose'; use build, demo, test or bench" >&2
		exit 2
		;;
esac

fail() {
	echo "setup: $1" >&2
	[ -z "${2-}" ] || echo "setup: $2" >&2
	exit 1
}

check_node() {
	command -v node >/dev/null || fail "node is not installed" "install Node.js 20.12 or newer and try again"
	node -e 'const [a, b] = process.versions.node.split("."); process.exit(+a > 20 || (+a === 20 && +b >= 12) ? 0 : 1)' ||
		fail "Node.js $(node --version) is too old" "install Node.js 20.12 or newer and try again"
}

# Prints the packages of the list that dpkg does not know as installed.
missing_packages() {
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null | sed -n 's/^installed //p' | tr '\n' ' ')
	for package in $packages; do
		case " $installed " in
			*" $package "*) ;;
			*) printf '%s ' "$package" ;;
		esac
	done
}

# A policy-rc.d that answers 101 keeps maintainer scripts from starting daemons; one that is already there is
# the administrator's and stays.
forbid_services() {
	policy=/usr/sbin/policy-rc.d
	[ ! -e "$policy" ] || return 0
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=900 -o Dpkg::Use-Pty=0 -qq "$@" </dev/null
}

install_packages() {
	command -v apt-get >/dev/null || fail "these programs are missing and there is no apt-get: $1" \
		"rkt is built on Debian 12; on another distribution install the equivalents by hand"
	[ "$(id -u)" = 0 ] || fail "these Debian packages are missing: $1" "run the same command as root"
	echo "setup: installing Debian packages: $1"
	forbid_services
	# A fresh machine has no package lists, or old ones.
	apt --simulate install --no-install-recommends $1 >/dev/null 2>&1 || apt update ||
		fail "apt-get update failed" "check the network and /etc/apt/sources.list"
	log=$(mktemp)
	apt install -y --no-install-recommends $1 >"$log" 2>&1 || {
		cat "$log" >&2
		fail "apt-get could not install: $1" "its own message is above"
	}
	rm -f "$log"
}

# The lock file that node_modules was installed from is kept inside it.
install_node_modules() {
	! cmp -s package-lock.json node_modules/.rkt-package-lock.json || return 0
	echo "setup: installing npm packages of package-lock.json into node_modules"
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error ||
		fail "npm ci failed" "its own message is above"
	cp package-lock.json node_modules/.rkt-package-lock.json
}

# The demo makes its image from this package; unpacking instead of installing it starts no etcd here.
download_etcd() {
	for archive in dist/demo/etcd-server_*.deb; do
		[ ! -f "$archive" ] || return 0
	done
	echo "setup: downloading the Debian package etcd-server into dist/demo (8 MB); it is not installed"
	mkdir -p dist/demo
	{ cd dist/demo && apt -o APT::Sandbox::User=root download etcd-server; } || {
		apt update && apt -o APT::Sandbox::User=root download etcd-server
	} || fail "apt-get could not download etcd-server" "its own message is above"
	cd ../..
}

check_node
[ "$(uname -s)" = Linux ] || fail "rkt runs on Linux only"
missing=$(missing_packages)
[ -z "$missing" ] || install_packages "$missing"
install_node_modules
case $purpose in
	demo) download_etcd ;;
	test) (download_etcd) || echo "setup: the test of the demo will be skipped" ;;
esac
