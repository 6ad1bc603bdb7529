import type { ActivationSocket } from "../sockets/assign-sockets.ts";
import { appUnitName } from "./app-unit.ts";
import { renderUnit, type UnitSetting } from "./unit-text.ts";

export const socketUnitName = (app: string): string => `${app}.socket`;

/**
 * The text of the socket unit of an app: one for all of its sockets, because only then does the app get them in the order
 * of its ports. When the app has ended the unit goes too: a connection must not start the app again.
 */
export function socketUnitText(app: string, sockets: readonly ActivationSocket[]): string {
	const listen = sockets.map(({ setting, address }): UnitSetting => [setting, address]);
	return renderUnit([
		[
			"Unit",
			[
				["DefaultDependencies", "no"],
				["Conflicts", "shutdown.target"],
				["Before", "shutdown.target"],
				["StopWhenUnneeded", "yes"],
			],
		],
		["Socket", [["BindIPv6Only", "both"], ["Service", appUnitName(app)], ...listen]],
	]);
}

/**
 * Part of a unit that systemd loads before it looks for the owners of descriptors that were passed to it. It looks only
 * among units that are loaded, and what default.target wants comes later.
 */
export function earlyLoadText(apps: readonly string[]): string {
	return renderUnit([["Unit", [["Before", apps.map(socketUnitName).join(" ")]]]]);
}
