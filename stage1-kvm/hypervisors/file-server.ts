import type { Rights } from "./hypervisor.ts";

/** CAP_CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID and MKNOD, linux/capability.h. */
const CAPABILITIES = [0, 1, 2, 3, 4, 27];

/** A hypervisor that serves the files of the guest itself makes them as the guest says: as whoever they belong to. */
export const FILE_SERVER_RIGHTS: Rights = {
	user: undefined,
	capabilities: CAPABILITIES.reduce((mask, number) => mask | (1n << BigInt(number)), 0n),
};
