export const ENVIRONMENT_NAME_RULE = 'letters, digits, "_", "." and "-", beginning with a letter or "_"';

/** True for the name of an environment variable as the schema allows it. */
export function isEnvironmentName(text: string): boolean {
	return /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(text);
}
