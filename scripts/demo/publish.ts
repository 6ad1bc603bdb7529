import * as path from "node:path";
import { createCertificates } from "../../test/support/certificates.ts";
import { discoveryPage, fileRoute, startImageServer, textRoute } from "../../test/support/image-server.ts";
import { addHostNames } from "../../test/support/private-host.ts";
import type { SigningKey } from "../../test/support/signing-key.ts";

export interface Publication {
	/** PEM file of the authority that vouches for the server. */
	readonly authorityFile: string;
	readonly requests: readonly string[];
	close(): Promise<void>;
}

export interface PublishedImage {
	/** Such as `coreos.com/etcd`. */
	readonly name: string;
	readonly version: string;
	readonly file: string;
	readonly signature: string;
}

/**
 * Serves an image as its publisher would: discovery page, image, signature and key over HTTPS on port 443 of
 * the loopback address, under the domain of the image's name. Only this mount namespace resolves that name.
 */
export async function publish(scratch: string, image: PublishedImage, key: SigningKey): Promise<Publication> {
	const domain = image.name.split("/")[0] as string;
	const origin = `https://${domain}`;
	const keyPath = "/dist/pubkeys/aci-pubkeys.gpg";
	const imagePath = `/images/${image.name}-${image.version}-linux-${imageArchitecture(image.file)}.aci`;
	addHostNames(path.join(scratch, "hosts"), [domain]);
	const certificates = await createCertificates(path.join(scratch, "tls"), [domain]);
	const server = await startImageServer(certificates, 443);
	const template = `${origin}/images/{name}-{version}-{os}-{arch}.{ext}`;
	const page = discoveryPage(image.name, template, `${origin}${keyPath}`);
	server.route(image.name.slice(domain.length), textRoute(page));
	server.route(imagePath, fileRoute(image.file));
	server.route(`${imagePath}.asc`, fileRoute(image.signature));
	server.route(keyPath, fileRoute(key.publicKeyFile));
	return { authorityFile: certificates.authorityFile, requests: server.requests, close: server.close };
}

/** Image files are named NAME-VERSION-OS-ARCH.aci. */
function imageArchitecture(file: string): string {
	return path.basename(file, ".aci").split("-").at(-1) as string;
}
