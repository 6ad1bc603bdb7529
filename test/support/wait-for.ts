/** Waits until `holds` gives true, looking every 20 ms. Throws, naming `what`, after 20 s. */
export async function waitFor(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
	const deadline = Date.now() + 20_000;
	while (!(await holds())) {
		if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}
