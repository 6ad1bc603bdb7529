import * as fs from "node:fs";
import * as path from "node:path";
import { distDirectory } from "../../test/support/dist-directory.ts";
import { createSigningKey, type SigningKey } from "../../test/support/signing-key.ts";
import type { TestHost } from "../../test/support/test-host.ts";
import { makeEtcdAci, unpackEtcdPackage } from "./etcd-package.ts";
import type { Narrator } from "./narrator.ts";
import { type Publication, publish } from "./publish.ts";

export const IMAGE = "coreos.com/etcd";

/** What every scene of the demo needs. */
export interface Stage {
	readonly tell: Narrator;
	readonly host: TestHost;
	readonly key: SigningKey;
	readonly published: Publication;
	readonly imageId: string;
	readonly version: string;
	/** The directory on the host that etcd keeps its data in. */
	readonly data: string;
}

/** Makes, signs and publishes the image; adds to `cleanUp` what has to be undone. */
export async function prepareStage(
	tell: Narrator,
	host: TestHost,
	cleanUp: (() => Promise<void>)[],
): Promise<Stage> {
	tell.step("An image of etcd, made from Debian's package etcd-server");
	const etcd = await unpackEtcdPackage(path.join(distDirectory(), "demo"), host.directory);
	const architecture = process.arch === "arm64" ? "aarch64" : "amd64";
	const file = path.join(host.directory, `etcd-${etcd.version}-linux-${architecture}.aci`);
	const imageId = await makeEtcdAci(file, IMAGE, etcd);
	tell.note(
		`${path.basename(file)}: ${(fs.statSync(file).size / 1e6).toFixed(1)} MB, ${imageId.slice(0, 19)}…`,
	);

	tell.step("Signed with an OpenPGP key made on the spot, and published over HTTPS");
	const key = await createSigningKey("Etcd Publisher (demo) <etcd@coreos.com>");
	cleanUp.push(key.remove);
	const image = { name: IMAGE, version: etcd.version, file, signature: await key.sign(file) };
	const published = await publish(host.directory, image, key);
	cleanUp.push(published.close);
	tell.note(`https://${IMAGE} answers on 127.0.0.1:443; key ${key.fingerprint}`);
	const data = path.join(host.directory, "etcd-data");
	fs.mkdirSync(data);
	return { tell, host, key, published, imageId, version: etcd.version, data };
}

/** Runs rkt, showing the command and what it printed. */
export async function rkt(stage: Stage, args: readonly string[]): ReturnType<TestHost["rkt"]> {
	stage.tell.command(`rkt ${args.join(" ")}`);
	const result = await stage.host.rkt(args, environment(stage));
	stage.tell.output(`${result.stdout}${result.stderr}`);
	return result;
}

/** For the clients of the demo's own authority. */
export function environment(stage: Stage): { environment: Record<string, string> } {
	return { environment: { NODE_EXTRA_CA_CERTS: stage.published.authorityFile } };
}
