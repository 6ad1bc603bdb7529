/** Extended attributes that belong to an image: those that its readers keep (appc/aci/entry-rules.ts, appc/oci/layer-rules.ts). */
export function isKeptAttribute(name: string): boolean {
	return (
		name === "security.capability" ||
		(name.startsWith("user.") && !name.startsWith("user.overlay.")) ||
		name.startsWith("system.posix_acl_")
	);
}
