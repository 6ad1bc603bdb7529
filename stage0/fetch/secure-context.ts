import * as tls from "node:tls";
import type { Environment } from "./proxy.ts";
import { trustAnchors } from "./trust-anchors.ts";

/** Building a context parses every certificate, some 35 ms for a system's list: once for each environment. */
const secureContexts = new WeakMap<Environment, tls.SecureContext>();

/** Trusts the authorities of {@link trustAnchors}. */
export function sharedSecureContext(environment: Environment): tls.SecureContext {
	const known = secureContexts.get(environment);
	if (known) return known;
	const ca = trustAnchors(environment);
	const context = tls.createSecureContext(ca === undefined ? {} : { ca });
	secureContexts.set(environment, context);
	return context;
}
