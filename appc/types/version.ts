const NUMBER = "(?:0|[1-9][0-9]*)";
const PRERELEASE = `(?:${NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)`;
const SEMVER = new RegExp(
	`^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-${PRERELEASE}(?:\\.${PRERELEASE})*)?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);

/** True for a version of Semantic Versioning 2.0.0. */
export function isSemver(text: string): boolean {
	return SEMVER.test(text);
}

/** True for an appc schema version: Semantic Versioning 2.0.0 and not `0.0.0` (appc 0.8.11, AC Version Type). */
export function isACVersion(text: string): boolean {
	return isSemver(text) && text !== "0.0.0";
}
