import type { RegistryReference } from "../../appc/oci/reference.ts";
import { isErrno, messageOf, RktError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { Config, InsecureTransport } from "../config/config.ts";
import { findCredentials } from "./credentials.ts";
import { endpointsOf } from "./endpoint.ts";
import type { Waiting } from "./retry.ts";
import { openSession, type Session } from "./session.ts";

export interface RegistryOptions {
	readonly config: Pick<Config, "dockerAuth" | "registries">;
	readonly insecure: InsecureTransport;
	readonly log: Log;
	readonly waiting?: Pick<Waiting, "delay" | "now">;
}

/** One repository, wherever it is kept. */
export interface Registry {
	readonly waiting: Waiting;
	/** Does something at the first endpoint that can; mirrors that cannot be reached are not asked again. */
	withEndpoint<T>(action: (session: Session) => Promise<T>): Promise<T>;
	/** From now on only the registry itself is asked. */
	leaveMirrors(): void;
}

/** The repository of a reference at its mirrors and its registry. Nothing is sent yet. */
export function openRegistry(reference: RegistryReference, options: RegistryOptions): Registry {
	const { config, insecure, log } = options;
	const waiting: Waiting = {
		delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
		now: Date.now,
		...options.waiting,
		tell: (message) => log.info(message),
	};
	const sessions = endpointsOf(reference, config, insecure).map((endpoint) =>
		openSession(endpoint, {
			credentials: () => findCredentials(endpoint.host, endpoint.repository, config),
			waiting,
		}),
	);
	return {
		waiting,
		withEndpoint: (action) => tryInOrder(sessions, action, log),
		leaveMirrors: () => void sessions.splice(0, sessions.length - 1),
	};
}

const UNREACHABLE = ["network-failed", "network-timeout", "tls-untrusted", "registry-busy"];

/** Mirrors come first; what one of them fails at is told, and the next one is asked. */
async function tryInOrder<T>(
	sessions: Session[],
	action: (session: Session) => Promise<T>,
	log: Log,
): Promise<T> {
	for (const session of [...sessions]) {
		const isLast = session === sessions.at(-1);
		try {
			return await action(session);
		} catch (error) {
			if (isLast || !(error instanceof RktError)) throw error;
			log.info(`mirror ${session.endpoint.host}: ${messageOf(error)}`);
			const at = sessions.indexOf(session);
			if (at !== -1 && isErrno(error, ...UNREACHABLE)) sessions.splice(at, 1);
		}
	}
	throw new Error("a registry without an endpoint");
}
