import type { Annotation } from "../../appc/schema/common.ts";
import { goJson, serializeManifest } from "../../appc/schema/serialize.ts";
import { isACIdentifier } from "../../appc/types/ac-identifier.ts";
import {
	type Answer,
	done,
	json,
	notAllowed,
	type Route,
	refuse,
	type ServiceRequest,
	text,
} from "./answer.ts";
import { type Form, parseForm } from "./form.ts";
import type { Registration, Registry } from "./registry.ts";
import type { SigningKey } from "./signing-key.ts";

type Content = Omit<Answer, "shown">;

/** Bytes of a form to sign or verify. */
const FORM_LIMIT = 1024 * 1024;
const UUID = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;
/** 64 bytes in base64. */
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/;

/**
 * What pods may ask: `/TOKEN/acMetadata/v1/…` (appc 0.8.11, "App Container Metadata Service"). Nothing is answered
 * without the token of a registered pod, so that a stranger cannot tell what there is.
 */
export function publicRoutes(registry: Registry, key: SigningKey): Route {
	return async (request) => {
		const [token = "", ...rest] = request.path ?? [];
		const pod = registry.byToken(token);
		if (pod === undefined) return { ...refuse(401, "unknown token"), shown: "/-" };
		const shown = `/${[pod.uuid, ...rest].join("/")}`;
		const [prefix, version, ...what] = rest;
		if (prefix !== "acMetadata" || version !== "v1") return { ...notFound(), shown };
		return { ...(await answer(request, pod, key, what)), shown };
	};
}

async function answer(
	request: ServiceRequest,
	pod: Registration,
	key: SigningKey,
	what: readonly string[],
): Promise<Content> {
	const [scope, name = "", ...rest] = what;
	if (scope === "pod" && name === "hmac" && rest.length === 1) return answerHmac(request, pod, key, rest[0]);
	const content = scope === "pod" ? podContent(pod, name, rest) : appContent(pod, scope, name, rest);
	if (content.status === 404 || request.method === "GET") return content;
	return notAllowed("GET");
}

function podContent(pod: Registration, what: string, rest: readonly string[]): Content {
	if (what === "annotations") return annotationContent(pod.manifest.annotations, rest);
	if (what === "manifest" && rest.length === 0) return json(fullManifest(pod));
	if (what === "uuid" && rest.length === 0) return text(pod.uuid);
	return notFound();
}

/** With the `app` section of the image where the pod manifest has none. */
function fullManifest(pod: Registration): string {
	const apps = pod.manifest.apps.map((one) => {
		const app = one.app ?? pod.images.get(one.name)?.manifest.app;
		return app === undefined ? one : { ...one, app };
	});
	return serializeManifest({ ...pod.manifest, apps });
}

function appContent(
	pod: Registration,
	scope: string | undefined,
	name: string,
	what: readonly string[],
): Content {
	const app = pod.manifest.apps.find((one) => one.name === name);
	const image = pod.images.get(name);
	if (scope !== "apps" || app === undefined || image === undefined) return notFound();
	const [first, ...rest] = what;
	if (first === "annotations") {
		return annotationContent(mergeAnnotations(image.manifest.annotations, app.annotations), rest);
	}
	if (what.join("/") === "image/manifest") return json(image.text.trimEnd());
	if (what.join("/") === "image/id") return text(app.image.id);
	return notFound();
}

/** The image's, with the values of the pod manifest where both have a name. */
function mergeAnnotations(image: readonly Annotation[], app: readonly Annotation[]): Annotation[] {
	const values = new Map([...image, ...app].map(({ name, value }) => [name, value]));
	return [...values].map(([name, value]) => ({ name, value }));
}

/** All of them, or the one that the rest of the path names; names may hold slashes. */
function annotationContent(annotations: readonly Annotation[], path: readonly string[]): Content {
	if (path.length === 0) return json(goJson(annotations.map(({ name, value }) => ({ name, value }))));
	const name = path.join("/");
	if (!isACIdentifier(name)) return refuse(400, "not the name of an annotation");
	const found = annotations.find((one) => one.name === name);
	return found === undefined ? notFound() : text(found.value);
}

async function answerHmac(
	request: ServiceRequest,
	pod: Registration,
	key: SigningKey,
	what: string | undefined,
): Promise<Content> {
	if (what !== "sign" && what !== "verify") return notFound();
	if (request.method !== "POST") return notAllowed("POST");
	if (request.contentType !== "application/x-www-form-urlencoded") {
		return refuse(400, "send a form: application/x-www-form-urlencoded");
	}
	const form = parseForm(await request.readBody(FORM_LIMIT));
	const content = form?.get("content");
	if (form === undefined) return refuse(400, "not a form");
	if (content === undefined || content.length === 0) return refuse(400, "content is missing or empty");
	return what === "sign" ? text(key.sign(pod.uuid, content).toString("base64")) : verify(key, form, content);
}

/** The signature of any pod: that is what signatures are for. */
function verify(key: SigningKey, form: Form, content: Buffer): Content {
	const uuid = UUID.exec(form.get("uuid")?.toString("latin1") ?? "");
	if (uuid === null) return refuse(400, "uuid is missing or no UUID");
	const signature = form.get("signature")?.toString("latin1") ?? "";
	if (!isBase64(signature)) return refuse(400, "signature is missing or no base64");
	const bytes = SIGNATURE.test(signature) ? Buffer.from(signature, "base64") : Buffer.alloc(0);
	const good = key.verify(uuid.slice(1).join("").toLowerCase(), content, bytes);
	return good ? done() : refuse(403, "the signature is not good");
}

function isBase64(value: string): boolean {
	return value !== "" && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value);
}

function notFound(): Content {
	return refuse(404, "not found");
}
