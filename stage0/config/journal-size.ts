import { parseQuantity, quantityBytes } from "../../appc/types/quantity.ts";
import { SMALLEST_JOURNAL_SIZE } from "../../stage1/journal.ts";

/**
 * What the journal of a pod may occupy, in bytes, from a quantity such as `64Mi`; undefined when it is too small to
 * be of use. Errors: `quantity-invalid`.
 */
export function parseJournalSize(text: string): bigint | undefined {
	const bytes = quantityBytes(parseQuantity(text));
	return bytes >= SMALLEST_JOURNAL_SIZE ? bytes : undefined;
}
