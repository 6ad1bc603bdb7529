import { fail } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { type Annotation, annotationValue } from "../schema/common.ts";
import { quote } from "../types/quote.ts";

/** Annotations of an appc image manifest that was made from an OCI or docker image; values are text or JSON. */
export const OCI_ANNOTATIONS = {
	/** The member `User` as it stands: only it tells `app` from `app:app`. */
	user: "rkt.io/oci/user",
	/** JSON list of `NAME=VALUE` whose names appc does not allow for the environment of an app. */
	environment: "rkt.io/oci/environment",
	/** `SIGQUIT`, `SIGRTMIN+3` or a number. */
	stopSignal: "rkt.io/oci/stopsignal",
	healthcheck: "rkt.io/oci/healthcheck",
	shell: "rkt.io/oci/shell",
	onBuild: "rkt.io/oci/onbuild",
	/** Ordered SHA-256 of the uncompressed layers, bottom first, separated by commas. */
	diffIds: "rkt.io/oci/diffids",
} as const;

/** Those that docker2aci writes, under the names that programs know. */
export const DOCKER_ANNOTATIONS = {
	originalName: "appc.io/docker/originalname",
	registryUrl: "appc.io/docker/registryurl",
	repository: "appc.io/docker/repository",
	imageId: "appc.io/docker/imageid",
	tag: "appc.io/docker/tag",
	entrypoint: "appc.io/docker/entrypoint",
	cmd: "appc.io/docker/cmd",
	manifestHash: "appc.io/docker/manifesthash",
} as const;

/** True for an image that was converted from docker or OCI, by us or by docker2aci. */
export function isDockerImage({ annotations }: { readonly annotations: readonly Annotation[] }): boolean {
	return annotations.some(({ name }) => name.startsWith("appc.io/docker/"));
}

/** The text of one of {@link OCI_ANNOTATIONS}. */
export function ociAnnotation(
	{ annotations }: { readonly annotations: readonly Annotation[] },
	key: keyof typeof OCI_ANNOTATIONS,
): string | undefined {
	return annotationValue(annotations, OCI_ANNOTATIONS[key]);
}

/**
 * The variables of the image whose names appc does not allow. Errors: `json-invalid`, `oci-invalid`: anybody can write
 * the annotation.
 */
export function otherEnvironment(image: { readonly annotations: readonly Annotation[] }): [string, string][] {
	const text = ociAnnotation(image, "environment");
	if (text === undefined) return [];
	const source = `annotation ${OCI_ANNOTATIONS.environment}`;
	const list = parseJson(text, source);
	if (!Array.isArray(list)) return refuseEnvironment(source, list);
	return list.map((entry) => {
		const at = typeof entry === "string" ? entry.indexOf("=") : 0;
		return at > 0 ? [entry.slice(0, at), entry.slice(at + 1)] : refuseEnvironment(source, entry);
	});
}

function refuseEnvironment(source: string, value: unknown): never {
	return fail("oci-invalid", `${source}: ${quote(value)} is not a list of NAME=VALUE`, {
		hint: "have the image made anew",
	});
}
