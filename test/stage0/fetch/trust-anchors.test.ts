import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { trustAnchors } from "../../../stage0/fetch/trust-anchors.ts";

const block = (words: string, label = "CERTIFICATE"): string =>
	`-----BEGIN ${label}-----\n${words}\n-----END ${label}-----`;

t.test("a certificate that several files have is read once", async (t) => {
	const directory = t.testdir({
		"bundle.pem": `# of whom\n${block("b25l")}\n${block("dHdv")}\n`,
		authorities: {
			"a.0": block("b25l"),
			"a.pem": `${block("b25l")}\n`,
			"trusted.pem": block("c2l4", "TRUSTED CERTIFICATE"),
		},
	});
	const environment = {
		SSL_CERT_FILE: path.join(directory, "bundle.pem"),
		SSL_CERT_DIR: `${directory}/authorities:${directory}/none`,
	};
	const all = [block("b25l"), block("dHdv"), block("c2l4", "TRUSTED CERTIFICATE")];
	t.strictSame(trustAnchors(environment), all);
	fs.writeFileSync(path.join(directory, "extra.pem"), `${block("dHdv")}${block("ZWxm")}`);
	const extra = { ...environment, NODE_EXTRA_CA_CERTS: path.join(directory, "extra.pem") };
	t.strictSame(trustAnchors(extra), [...all, block("ZWxm")]);
});

t.test("what is no certificate is handed on as it is", async (t) => {
	const directory = t.testdir({ "other.pem": "-----BEGIN CERTIFICATE-----\ncut" });
	const file = path.join(directory, "other.pem");
	t.strictSame(trustAnchors({ SSL_CERT_FILE: file }), ["-----BEGIN CERTIFICATE-----\ncut"]);
});
