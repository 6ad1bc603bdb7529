import type { Port } from "../../appc/schema/app.ts";
import type { ExposedPort } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import { appUnitName } from "./app-unit.ts";
import { renderUnit, type UnitSetting } from "./unit-text.ts";

export const socketUnitName = (app: string): string => `${app}.socket`;

/** A socket that an app gets from systemd, as systemd.socket(5) names it. */
export interface ActivationSocket {
	readonly setting: "ListenStream" | "ListenDatagram";
	readonly port: number;
}

/**
 * The sockets of an app's ports with `socketActivated`. The host's systemd listens on the port that was given with
 * --port, and hands the socket through to the pod, where systemd tells it by that number. `onUnmapped` hears of ports
 * that nobody mapped. Errors: `port-protocol-unknown`.
 */
export function activationSockets(
	ports: readonly Port[],
	exposed: readonly ExposedPort[],
	onUnmapped: (port: Port) => void,
): ActivationSocket[] {
	return ports
		.filter((port) => port.socketActivated)
		.map((port) => {
			const mapped = exposed.find(({ name }) => name === port.name)?.hostPort;
			if (mapped === undefined) onUnmapped(port);
			return { setting: settingOf(port), port: mapped ?? port.port };
		});
}

/** The text of the socket unit of an app. */
export function socketUnitText(app: string, sockets: readonly ActivationSocket[]): string {
	const listen = sockets.map(({ setting, port }): UnitSetting => [setting, String(port)]);
	return renderUnit([
		[
			"Unit",
			[
				["DefaultDependencies", "no"],
				["Conflicts", "shutdown.target"],
				["Before", "shutdown.target"],
			],
		],
		["Socket", [["BindIPv6Only", "both"], ["Service", appUnitName(app)], ...listen]],
	]);
}

function settingOf(port: Port): ActivationSocket["setting"] {
	if (port.protocol === "tcp") return "ListenStream";
	if (port.protocol === "udp") return "ListenDatagram";
	return fail(
		"port-protocol-unknown",
		`port ${port.name}: systemd has no sockets for the protocol ${port.protocol}`,
		{
			hint: "a port with socketActivated is tcp or udp",
		},
	);
}
