import * as z from "zod/mini";
import { checkSchema } from "../../appc/schema/read-schema.ts";
import { once } from "../../appc/schema/schema-kit.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import { readBytesUpTo } from "../../lib/files.ts";
import { parseJson } from "../../lib/json.ts";

/** What somebody may log in to a registry with. */
export type RegistryCredentials =
	| { readonly type: "password"; readonly user: string; readonly password: string }
	/** Exchanged for tokens by OAuth 2. */
	| { readonly type: "identity-token"; readonly token: string }
	/** Sent to the registry as it is. */
	| { readonly type: "registry-token"; readonly token: string };

const MAX_FILE_BYTES = 1024 * 1024;

const authFileSchema = once(() =>
	z.object({
		auths: z.optional(
			z.record(
				z.string(),
				z.object({
					auth: z.optional(z.string()),
					username: z.optional(z.string()),
					password: z.optional(z.string()),
					identitytoken: z.optional(z.string()),
					registrytoken: z.optional(z.string()),
				}),
			),
		),
		credHelpers: z.optional(z.record(z.string(), z.string())),
		credsStore: z.optional(z.string()),
	}),
);

export type AuthFile = z.infer<ReturnType<typeof authFileSchema>>;
type AuthEntry = NonNullable<AuthFile["auths"]>[string];

/** The file of `docker login` or `podman login`; undefined when it is not there. Errors: `auth-file-invalid`. */
export function readAuthFile(file: string): AuthFile | undefined {
	const bytes = readBytes(file);
	if (bytes === undefined) return undefined;
	const refusal = { code: "auth-file-invalid", hint: "log in again with podman login or docker login" };
	try {
		const document = parseJson(bytes, file, { maxBytes: MAX_FILE_BYTES });
		return checkSchema(document, file, authFileSchema(), "", refusal);
	} catch (error) {
		if (!isErrno(error, "json-invalid")) throw error;
		return fail(refusal.code, (error as Error).message, { hint: refusal.hint });
	}
}

function readBytes(file: string): Buffer | undefined {
	try {
		return (
			readBytesUpTo(file, MAX_FILE_BYTES) ??
			fail("auth-file-invalid", `${file} has more than ${MAX_FILE_BYTES} bytes`)
		);
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
		if (!isErrno(error, "EACCES", "EISDIR")) throw error;
		return fail("auth-file-invalid", `cannot read the credentials in ${file}`, { cause: error });
	}
}

/**
 * The entry for a repository: the one whose key names the most of `HOST/REPOSITORY`. Keys are hosts, hosts with the
 * beginning of a repository, and what older programs wrote: `https://HOST/v1/`.
 */
export function authEntry(
	file: AuthFile,
	hosts: readonly string[],
	repository: string,
): AuthEntry | undefined {
	const components = repository.split("/");
	const keys = new Map(Object.entries(file.auths ?? {}).map(([key, entry]) => [normalKey(key), entry]));
	for (let length = components.length; length >= 0; length--) {
		for (const host of hosts) {
			const entry = keys.get([host, ...components.slice(0, length)].join("/"));
			if (entry !== undefined) return entry;
		}
	}
	return undefined;
}

function normalKey(key: string): string {
	const plain = key.replace(/^https?:\/\//i, "").replace(/\/(?:v[12]\/?)?$/i, "");
	return plain.replace(/^[^/]*/, (host) => host.toLowerCase());
}

/** Undefined for an entry that says nothing, which stands for a credential helper. Errors: `auth-file-invalid`. */
export function entryCredentials(entry: AuthEntry, file: string): RegistryCredentials | undefined {
	if (entry.registrytoken) return { type: "registry-token", token: entry.registrytoken };
	if (entry.identitytoken) return { type: "identity-token", token: entry.identitytoken };
	if (entry.auth) return decodeAuth(entry.auth, file);
	if (entry.username) return { type: "password", user: entry.username, password: entry.password ?? "" };
	return undefined;
}

function decodeAuth(auth: string, file: string): RegistryCredentials {
	const text = Buffer.from(auth, "base64").toString("utf8");
	const colon = text.indexOf(":");
	if (colon < 1) {
		fail("auth-file-invalid", `${file}: an "auth" does not hold USER:PASSWORD in base64`, {
			hint: "log in again with podman login or docker login",
		});
	}
	// Some programs of old wrote NULs behind the password.
	return {
		type: "password",
		user: text.slice(0, colon),
		password: text.slice(colon + 1).replace(/\0+$/, ""),
	};
}
