import type { Port } from "../schema/app.ts";
import { sanitizeACName } from "../types/ac-name.ts";

/** docker's own limit does not exist; a range is one entry, so nothing real comes near this. */
export const MAX_EXPOSED_PORTS = 4096;

/**
 * The names of `ExposedPorts` as appc ports, sorted by name: `80`, `53/udp`, `8000-8010/tcp`. Two spellings of the same
 * ports become one. `refuse` is called with a name that is none.
 */
export function exposedPorts(names: readonly string[], refuse: (name: string) => never): Port[] {
	const ports = new Map<string, Port>();
	for (const name of [...names].sort()) {
		const port = readPort(name) ?? refuse(name);
		// `80/tcp` sorts after `80` and is the name that people use with --port.
		ports.set(`${port.port}+${port.count}/${port.protocol}`, port);
	}
	return [...ports.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readPort(text: string): Port | undefined {
	const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
	if (match === null) return undefined;
	const first = Number(match[1]);
	const last = Number(match[2] ?? first);
	if (first < 1 || last < first || last > 65535) return undefined;
	return {
		name: sanitizeACName(text),
		protocol: match[3]?.toLowerCase() ?? "tcp",
		port: first,
		count: last - first + 1,
		socketActivated: false,
	};
}
