import { fail } from "../../lib/errors.ts";

/** Throws `image-not-found` for a pull policy that asks nobody else. */
export function notInStore(what: string): never {
	return fail("image-not-found", `unable to fetch image from ${what}: it is not in the store`, {
		hint: "let rkt look for it elsewhere with --pull-policy=new",
	});
}
