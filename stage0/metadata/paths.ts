import * as path from "node:path";

/** Where pods are registered. Below /run, as what it stands for: neither outlives a reboot. */
export const METADATA_SOCKET = "/run/rkt/metadata-svc.sock";

/** What the service remembers over its own restart; root's alone. The one service that runs has it locked. */
export const METADATA_STATE = "/run/rkt/metadata";

/** HMAC key of the service. */
export const signingKeyPath = (state: string): string => path.join(state, "key");

export const registrationsPath = (state: string): string => path.join(state, "pods");

/** One registered pod, with its token. */
export const registrationPath = (state: string, uuid: string): string =>
	path.join(registrationsPath(state), `${uuid}.json`);
