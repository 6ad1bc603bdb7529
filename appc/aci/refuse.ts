import { RktError } from "../../lib/errors.ts";

/** Throws `aci-invalid`: the archive breaks a rule of the format, or one of ours against hostile archives. */
export function refuseAci(source: string, problem: string): never {
	throw new RktError("aci-invalid", `${source} is not a valid image: ${problem}`, {
		hint: "the image must be made anew by its author; docs/images.md lists what an image may hold",
	});
}

/** Throws `aci-truncated`: the data ends before the archive does. */
export function refuseTruncated(source: string, where: string): never {
	throw new RktError("aci-truncated", `${source} is incomplete: the data ends ${where}`, {
		hint: "fetch or copy the image again",
	});
}

/** Throws `aci-too-large`. */
export function refuseSize(source: string, problem: string): never {
	throw new RktError("aci-too-large", `${source} is too large: ${problem}`, {
		hint: "if the image is honest, split it or make it smaller; docs/images.md lists the limits",
	});
}
