import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

const APPC_ARCH = { x64: "amd64", arm64: "aarch64" };

/** Two images of a few bytes: an app, and a stage1 whose module ends at once with success. */
export function makeTinyImages(directory) {
	const annotations = [
		{ name: "coreos.com/rkt/stage1/run", value: "/run" },
		{ name: "coreos.com/rkt/stage1/gc", value: "/run" },
		{ name: "coreos.com/rkt/stage1/interface-version", value: "6" },
		{ name: "rkt.io/stage1/module", value: "/module.cjs" },
	];
	return {
		app: makeImage(directory, "app", { app: { exec: ["/run"], user: "0", group: "0" } }),
		stage1: makeImage(directory, "stage1", { annotations }),
	};
}

function makeImage(directory, name, more) {
	const labels = [
		{ name: "version", value: "1.0.0" },
		{ name: "os", value: "linux" },
		{ name: "arch", value: APPC_ARCH[process.arch] },
	];
	const manifest = {
		acKind: "ImageManifest",
		acVersion: "0.8.11",
		name: `example.com/${name}`,
		labels,
		...more,
	};
	const source = path.join(directory, name);
	mkdirSync(`${source}/rootfs`, { recursive: true });
	writeFileSync(`${source}/manifest`, JSON.stringify(manifest));
	writeFileSync(`${source}/rootfs/run`, "#!/bin/sh\n", { mode: 0o755 });
	writeFileSync(`${source}/rootfs/module.cjs`, "exports.main = async () => 0;\n");
	execFileSync("tar", ["-C", source, "-cf", `${source}.aci`, "manifest", "rootfs"]);
	return `${source}.aci`;
}
