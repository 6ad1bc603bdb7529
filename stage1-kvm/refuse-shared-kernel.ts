import { fail } from "../lib/errors.ts";
import { parseNetList } from "../stage1/network/net-list.ts";
import type { RunContext } from "../stage1/run/run-context.ts";

/**
 * A pod with a kernel of its own cannot have a part of the host's. Errors: `own-kernel-refuses`, for what was asked and
 * would have no effect.
 */
export function refuseSharedKernel({ options, sockets }: RunContext): void {
	const refuse = (what: string, why: string, hint: string): never =>
		fail("own-kernel-refuses", `${what} is not possible in a virtual machine: ${why}`, { hint });
	if (options.ipc === "parent") {
		refuse("--ipc=parent", "it shares no memory with the host", "leave it out, or use --stage1-image=nspawn");
	}
	if (options.privateUsers !== undefined) {
		refuse(
			"--private-users",
			"its kernel takes the owners of files as they are on the disk",
			"its users are none of the host's already: leave it out",
		);
	}
	if (parseNetList([options.net]).kind === "host") {
		refuse(
			"--net=host",
			"the host's interfaces belong to its kernel",
			"use --net=default or another network, or --stage1-image=nspawn",
		);
	}
	if (sockets.byApp.size > 0) {
		refuse(
			"socket activation",
			"a descriptor of the host cannot be handed to another kernel",
			"forward the port with --port, or use --stage1-image=nspawn",
		);
	}
}
