#!/bin/sh
# Builds the Debian package rkt_VERSION_ARCHITECTURE.deb from dist/. `npm run deb` builds that first and leaves the
# package in dist/. The same dist/ and sources give the same bytes.
#
# usage: deb.sh [DIRECTORY]   where the package goes; default: dist
set -eu
umask 022

cd "$(dirname "$0")/.."
output=$(realpath "${1:-dist}")
version=$(node -p 'require("./package.json").version')
architecture=$(dpkg --print-architecture)
package=$output/rkt_${version}_$architecture.deb
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(stat -c %Y CHANGELOG.md)}"

stage=$(mktemp -d)
chmod 755 "$stage"
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_program() {
	DESTDIR=$stage PREFIX=/usr sh scripts/install.sh >/dev/null
	# Made by tmpfiles.d, because their groups have no fixed numbers.
	rm -rf "$stage/etc" "$stage/var"
	ln -sfn ../lib/rkt/rkt "$stage/usr/bin/rkt"
}

install_completion() {
	install -d "$stage/usr/share/bash-completion/completions" "$stage/usr/share/zsh/vendor-completions" \
		"$stage/usr/share/fish/vendor_completions.d"
	dist/rkt completion bash >"$stage/usr/share/bash-completion/completions/rkt"
	dist/rkt completion zsh >"$stage/usr/share/zsh/vendor-completions/_rkt"
	dist/rkt completion fish >"$stage/usr/share/fish/vendor_completions.d/rkt.fish"
}

install_manual() {
	install -d "$stage/usr/share/man/man1"
	node dist/scripts/man.cjs "$stage/usr/share/man/man1"
	gzip -9n "$stage"/usr/share/man/man1/*
}

install_documentation() {
	documentation=$stage/usr/share/doc/rkt
	install -d "$documentation/docs"
	install -m 644 README.md "$documentation/"
	install -m 644 docs/*.md "$documentation/docs/"
	gzip -9nc CHANGELOG.md >"$documentation/changelog.gz"
	write_copyright >"$documentation/copyright"
}

# Our licence, those of the npm packages in rkt.cjs and stage1.cjs, and which Debian packages the stage1 image
# is made from.
write_copyright() {
	printf 'rkt\n\n'
	cat LICENSE
	for directory in $(npm ls --omit=dev --all --parseable 2>/dev/null | tail -n +2 | sort -u); do
		for license in "$directory"/LICEN[CS]E* "$directory"/licen[cs]e*; do
			[ -f "$license" ] || continue
			printf '\n\n%s\n\n' "Contains ${directory##*node_modules/}:"
			cat "$license"
		done
	done
	printf '\n\nThe stage1 image holds files of these Debian packages, whose sources and licences are with Debian:\n\n'
	stage1_packages
}

# dpkg knows some files by their path below /lib, which is a link to /usr/lib.
stage1_packages() {
	tar -tf dist/stage1-nspawn.aci | sed -n 's|^rootfs\(/usr/lib.*[^/]\)$|\1|p' | grep -E '\.so|/systemd/systemd[a-z-]*$' |
		while read -r file; do
			dpkg-query -S "$file" "${file#/usr}" 2>/dev/null | cut -d : -f 1
		done | sort -u | xargs dpkg-query -W -f '${Package} ${Version}\n'
}

write_control() {
	install -d "$stage/DEBIAN"
	size=$(du -sk --apparent-size "$stage/usr" | cut -f 1)
	sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" \
		packaging/deb/control >"$stage/DEBIAN/control"
	install -m 755 packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm "$stage/DEBIAN/"
	(cd "$stage" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$stage/DEBIAN/md5sums"
}

install_program
install_completion
install_manual
install_documentation
write_control
find "$stage" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zzstd -z9 --build "$stage" "$package.new" >/dev/null
mv -f "$package.new" "$package"
echo "deb: $package"
