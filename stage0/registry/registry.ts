import type { RegistryReference } from "../../appc/oci/reference.ts";
import { messageOf, RktError } from "../../lib/errors.ts";
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
	/** Does something at the first endpoint that can; one that could is asked first the next time. */
	withEndpoint<T>(action: (session: Session) => Promise<T>): Promise<T>;
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
	return { waiting, withEndpoint: (action) => tryInOrder(sessions, action, log) };
}

/** Mirrors come first; what one of them fails at is told, and the next one is asked. */
async function tryInOrder<T>(
	sessions: Session[],
	action: (session: Session) => Promise<T>,
	log: Log,
): Promise<T> {
	for (const session of [...sessions]) {
		const isLast = session === sessions.at(-1);
		try {
			const result = await action(session);
			// Those in front of it failed.
			const at = sessions.indexOf(session);
			if (at > 0) sessions.splice(0, at);
			return result;
		} catch (error) {
			if (isLast || !(error instanceof RktError)) throw error;
			log.info(`mirror ${session.endpoint.host}: ${messageOf(error)}`);
		}
	}
	throw new Error("a registry without an endpoint");
}
