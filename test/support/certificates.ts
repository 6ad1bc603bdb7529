import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";

export interface Certificates {
	/** PEM of the authority, for NODE_EXTRA_CA_CERTS of the clients. */
	readonly authorityFile: string;
	readonly key: string;
	readonly certificate: string;
}

/** A certificate authority and a server certificate for these names, valid for a day. */
export async function createCertificates(directory: string, names: readonly string[]): Promise<Certificates> {
	fs.mkdirSync(directory, { recursive: true });
	const at = (name: string): string => path.join(directory, name);
	const openssl = (args: string): Promise<unknown> => execa("openssl", args.split(" "), { cwd: directory });
	const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
	await openssl(`req -x509 ${newKey} -keyout ca.key -out ca.pem -days 1 -subj /CN=rkt-throw-away-authority`);
	await openssl(`req ${newKey} -keyout server.key -out server.csr -subj /CN=${names[0]}`);
	const alternatives = names.map((name) => (/^[0-9.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`));
	fs.writeFileSync(at("extensions"), `subjectAltName=${alternatives.join(",")}\n`);
	await openssl(
		"x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile extensions -out server.pem",
	);
	return {
		authorityFile: at("ca.pem"),
		key: fs.readFileSync(at("server.key"), "utf8"),
		certificate: fs.readFileSync(at("server.pem"), "utf8"),
	};
}
