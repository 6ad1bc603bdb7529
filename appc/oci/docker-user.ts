/** The two sides of docker's `User`: names or numbers; the group is absent when the image leaves it to its /etc/passwd. */
export interface DockerUser {
	/** `0` when only a group is given. */
	readonly user: string;
	readonly group: string | undefined;
}

/** (uid_t)-1 means "no change" to the kernel. */
const HIGHEST_ID = 0xfffffffe;

/**
 * Reads `USER`, `USER:GROUP` or `:GROUP`; numbers lose their leading zeros. Undefined for what can be neither, as a
 * number of more than 32 bits, a second colon, a slash or a control character.
 */
export function parseDockerUser(text: string): DockerUser | undefined {
	const [user = "", group = "", ...more] = text.split(":");
	if (more.length > 0) return undefined;
	const [userId, groupId] = [readId(user), readId(group)];
	if (userId === undefined || groupId === undefined) return undefined;
	return { user: userId || "0", group: groupId || undefined };
}

function readId(text: string): string | undefined {
	if (/^[-+]?[0-9]+$/.test(text)) {
		const id = Number(text);
		return id >= 0 && id <= HIGHEST_ID ? String(id) : undefined;
	}
	return /[\p{C}\s/,]/u.test(text) ? undefined : text;
}
