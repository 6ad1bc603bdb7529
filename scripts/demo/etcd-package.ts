import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import { type AciEntry, imageManifest, makeAci } from "../../test/support/make-aci.ts";

export interface EtcdPackage {
	/** As an image label, such as `v3.4.23`. */
	readonly version: string;
	/** The unpacked package. */
	readonly root: string;
}

/** Unpacks Debian's etcd-server, which scripts/setup.sh downloaded; it is never installed, so no service starts. */
export async function unpackEtcdPackage(downloads: string, scratch: string): Promise<EtcdPackage> {
	const name = fs.readdirSync(downloads).find((entry) => /^etcd-server_.*\.deb$/.test(entry));
	if (name === undefined) throw new Error(`there is no etcd-server in ${downloads}: run it as npm run demo`);
	const archive = path.join(downloads, name);
	const root = path.join(scratch, "etcd-server");
	await execa("dpkg-deb", ["--extract", archive, root]);
	const { stdout } = await execa("dpkg-deb", ["--field", archive, "Version"]);
	const upstream = /^(?:\d+:)?([0-9.]+)/.exec(stdout)?.[1];
	if (upstream === undefined) throw new Error(`etcd-server has an odd version: ${stdout}`);
	return { version: `v${upstream}`, root };
}

/** An image of etcd with the libraries it is linked to, and nothing else. */
export async function makeEtcdAci(file: string, name: string, etcd: EtcdPackage): Promise<string> {
	const program = path.join(etcd.root, "usr/bin/etcd");
	const files: Record<string, AciEntry> = {};
	for (const library of await linkedLibraries(program)) files[library.slice(1)] = { copyOf: library };
	files["usr/bin/etcd"] = { copyOf: program };
	const manifest = imageManifest(name, {
		version: etcd.version,
		app: {
			exec: ["/usr/bin/etcd"],
			workingDirectory: "/",
			environment: [
				{ name: "ETCD_DATA_DIR", value: "/data-dir" },
				{ name: "ETCD_NAME", value: "demo" },
			],
			mountPoints: [{ name: "data-dir", path: "/data-dir" }],
			ports: [
				{ name: "client", protocol: "tcp", port: 2379 },
				{ name: "peer", protocol: "tcp", port: 2380 },
			],
		},
	});
	return await makeAci(file, { manifest, files: withDirectories(files), compress: true });
}

/** Absolute paths of the shared libraries and of the dynamic loader, as ldd(1) finds them. */
async function linkedLibraries(program: string): Promise<string[]> {
	const { stdout } = await execa("ldd", [program], { reject: false });
	return [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string);
}

function withDirectories(files: Record<string, AciEntry>): Record<string, AciEntry> {
	const directories: Record<string, AciEntry> = {};
	for (const name of Object.keys(files)) {
		const parts = name.split("/").slice(0, -1);
		for (let end = 1; end <= parts.length; end += 1) {
			directories[parts.slice(0, end).join("/")] = { directory: true };
		}
	}
	return { ...directories, ...files };
}
