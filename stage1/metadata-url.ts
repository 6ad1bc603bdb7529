import { fail } from "../lib/errors.ts";

/** Port of the metadata service, since rkt 0.8.1. */
const METADATA_PORT = 18112;

/**
 * Where an app of a registered pod finds the metadata service; undefined for a pod that is not registered.
 * @param hostIP Where the pod reaches the host. Errors: `metadata-unreachable` without one.
 */
export function metadataUrl(token: string | undefined, hostIP: string | undefined): string | undefined {
	if (token === undefined) return undefined;
	if (hostIP !== undefined) return `http://${hostIP}:${METADATA_PORT}/${token}`;
	return fail("metadata-unreachable", "no network of the pod leads to the metadata service of the host", {
		hint: "run the pod with --net=default, or without --mds-register",
	});
}
