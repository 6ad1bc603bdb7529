import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import path from "node:path";

const target = "dist/guest-kernel";
/** 6.12 has all that a root on virtiofs needs built in; older ones of Debian would want an initramfs. */
const packages = "^linux-image-6\\.1[2-9]\\.[0-9]+\\+deb12-cloud-amd64$";
/** What is not built in and a pod needs that has such a device, by its number in the specification of virtio. */
const modules = { virtio_net: 1, virtio_blk: 2, virtio_rng: 4, virtio_balloon: 5 };

/**
 * Nobody reads these types, which the kernel takes more time to check than for all the rest of a module. The signature goes
 * too, as everything behind the last section; the guest demands none.
 */
const withoutDebugging = ["--strip-debug", "--remove-section=.BTF", "--remove-section=.BTF.base"];

/**
 * Makes dist/guest-kernel from the distribution's kernel package, which is unpacked and not installed: the kernel without
 * its compression, which emulation would pay for at every start; the modules in the order in which they are loaded; and
 * kernel.json, which says what it is. Kept until there is another version of the package or of this recipe. Gives the files
 * written.
 */
export function prepareGuestKernel() {
	const name = newestPackage() ?? updatedPackage();
	if (name === undefined) throw new Error(`Debian's package lists name no kernel ${packages}`);
	const record = `${target}/kernel.json`;
	const recipe = createHash("sha256")
		.update(readFileSync(import.meta.filename))
		.digest("hex");
	const last = existsSync(record) ? JSON.parse(readFileSync(record, "utf8")) : {};
	if (last.package === name && last.recipe === recipe) return [];
	mkdirSync("dist", { recursive: true });
	const work = mkdtempSync("dist/kernel-");
	try {
		const root = unpack(name, work);
		const made = path.join(work, "guest-kernel");
		mkdirSync(path.join(made, "modules"), { recursive: true });
		const all = ["lib", "usr/lib"]
			.map((lib) => path.join(root, lib, "modules"))
			.find((one) => existsSync(one));
		const version = readdirSync(all)[0];
		const kernel = uncompress(readFileSync(`${root}/boot/vmlinuz-${version}`));
		writeFileSync(path.join(made, "vmlinux"), kernel);
		copyModules(path.join(all, version), path.join(made, "modules"));
		const sha512 = createHash("sha512").update(kernel).digest("hex");
		writeFileSync(
			path.join(made, "kernel.json"),
			`${JSON.stringify({ version, package: name, sha512, recipe }, null, "\t")}\n`,
		);
		rmSync(target, { recursive: true, force: true });
		renameSync(made, target);
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
	return ["guest-kernel"];
}

function newestPackage() {
	const names = run("apt-cache", ["--names-only", "search", packages]).toString().match(/^\S+/gm) ?? [];
	const version = (name) =>
		name
			.split(/[.+-]/)
			.filter((part) => /^\d+$/.test(part))
			.map(Number);
	const newer = (a, b) => version(a).reduce((order, part, index) => order || part - version(b)[index], 0);
	return names.sort(newer).at(-1);
}

/** A new machine may have no list of packages yet. */
function updatedPackage() {
	run("apt-get", ["-qq", "update"]);
	return newestPackage();
}

function unpack(name, work) {
	run("apt-get", ["-q", "-o", "APT::Sandbox::User=root", "download", name], { cwd: work });
	const archive = readdirSync(work).find((file) => file.endsWith(".deb"));
	const root = path.join(work, "root");
	run("dpkg", ["-x", path.join(work, archive), root]);
	return root;
}

/** The payload of a bzImage, Documentation/arch/x86/boot.rst of the kernel: always zstd in these packages. */
function uncompress(image) {
	const setup = (image[0x1f1] || 4) + 1;
	const offset = setup * 512 + image.readUInt32LE(0x248);
	const payload = image.subarray(offset, offset + image.readUInt32LE(0x24c));
	if (payload.readUInt32LE(0) !== 0xfd2fb528) throw new Error("the kernel is not compressed with zstd");
	// Its last four bytes are the size, which is no part of the frame.
	return run("zstd", ["-dc"], { input: payload.subarray(0, -4) });
}

function copyModules(base, directory) {
	const files = readdirSync(base, { recursive: true }).filter((file) => /\.ko(\.xz)?$/.test(file));
	const fileOf = new Map(files.map((file) => [nameOf(file), file]));
	const order = [];
	const add = (name, device) => {
		const file = fileOf.get(name);
		const line = `${name}.ko ${device}`;
		if (file === undefined || order.includes(line)) return;
		const packed = readFileSync(path.join(base, file));
		const module = file.endsWith(".xz") ? run("xz", ["-dc"], { input: packed }) : packed;
		for (const needed of dependencies(module)) add(needed, device);
		const target = path.join(directory, `${name}.ko`);
		writeFileSync(target, module);
		run("objcopy", [...withoutDebugging, target]);
		order.push(line);
	};
	for (const [name, device] of Object.entries(modules)) add(name, device);
	writeFileSync(path.join(directory, "order"), order.map((line) => `${line}\n`).join(""));
}

function nameOf(file) {
	return path
		.basename(file)
		.replace(/\.ko.*/, "")
		.replaceAll("-", "_");
}

/** The section .modinfo of a module holds `depends=a,b`. */
function dependencies(module) {
	const found = /\0depends=([^\0]*)\0/.exec(module.toString("latin1"))?.[1] ?? "";
	return found
		.split(",")
		.filter((name) => name !== "")
		.map((name) => name.replaceAll("-", "_"));
}

function run(program, args, options = {}) {
	const result = spawnSync(program, args, {
		maxBuffer: 1 << 30,
		stdio: ["pipe", "pipe", "inherit"],
		...options,
	});
	if (result.status !== 0) throw new Error(`${program} ${args.join(" ")} failed`);
	return result.stdout;
}
