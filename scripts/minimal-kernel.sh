#!/bin/sh
# Builds a small guest kernel from Debian's kernel sources with the configuration in stage1-kvm/kernel, which starts
# faster than the distribution's own: `npm run kernel -- x86_64` for QEMU and lkvm, `npm run kernel -- um` for
# User-Mode Linux. It takes about 10 minutes of processor time and 2 GB in a temporary directory. The next
# `npm run build` puts what lies in dist/minimal-kernel into the stage1 images instead of the distribution's.
#
# usage: minimal-kernel.sh x86_64|um
set -eu
umask 022

cd "$(dirname "$0")/.."
architecture=${1-}
configuration=$PWD/stage1-kvm/kernel/minimal-$architecture.config
case $architecture in
	# lkvm boots only the compressed image.
	x86_64) make_arch=x86_64 made="vmlinux arch/x86/boot/bzImage" ;;
	um) make_arch=um made=linux ;;
	*)
		echo "usage: minimal-kernel.sh x86_64|um" >&2
		exit 2
		;;
esac
[ "$(id -u)" = 0 ] || {
	echo "minimal-kernel: run it as root: it installs Debian packages" >&2
	exit 1
}

source_package() {
	apt-cache --names-only search '^linux-source-[0-9.]+$' | cut -d ' ' -f 1 | sort -V | tail -n 1
}

package=$(source_package)
[ -n "$package" ] || {
	apt-get -qq update
	package=$(source_package)
}
echo "minimal-kernel: installing $package and what builds it"
DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=900 -qq install -y --no-install-recommends \
	"$package" make gcc libc6-dev flex bison libelf-dev libssl-dev bc xz-utils >/dev/null

work=$(mktemp -d -p "${TMPDIR:-/var/tmp}" rkt-kernel-XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
echo "minimal-kernel: unpacking $package in $work"
tar -C "$work" --strip-components=1 -xf "/usr/src/$package.tar.xz"
cd "$work"
export KBUILD_BUILD_TIMESTAMP='@0' KBUILD_BUILD_USER=rkt KBUILD_BUILD_HOST=rkt KBUILD_BUILD_VERSION=1
case $architecture in
	# What differs from the defaults, as `make savedefconfig` writes it.
	x86_64) cp "$configuration" .config ;;
	# What differs from the least.
	um)
		make -s ARCH=$make_arch tinyconfig
		ARCH=$make_arch scripts/kconfig/merge_config.sh -m .config "$configuration" >/dev/null
		;;
esac
make -s ARCH=$make_arch olddefconfig
echo "minimal-kernel: building"
make -s ARCH=$make_arch "-j$(nproc)" $(basename -a $made)
cd "$OLDPWD"
mkdir -p dist/minimal-kernel
for file in $made; do
	name=dist/minimal-kernel/$(basename "$file")
	install -m 755 "$work/$file" "$name.new"
	case $file in */bzImage) ;; *) strip "$name.new" ;; esac
	mv -f "$name.new" "$name"
	echo "minimal-kernel: $name, Linux $(make -s -C "$work" kernelversion)"
done
