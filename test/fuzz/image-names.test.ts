import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import t from "tap";
import { formatImageName, parseImageName } from "../../appc/types/image-name.ts";
import { anyText, checkProperty, parsed } from "./run-property.ts";

const word = fc.stringMatching(/^[a-z0-9]([-._~/a-z0-9]*[a-z0-9])?$/);
const label = fc.oneof(word, fc.constantFrom("version", "os", "arch", "name"));
const pair = fc.tuple(label, fc.oneof(word, anyText)).map(([name, value]) => `${name}=${value}`);

/** Names that are right or nearly so. */
const name = fc
	.tuple(fc.oneof(word, anyText), fc.option(fc.oneof(word, anyText)), fc.array(pair, { maxLength: 4 }))
	.map(([head, version, pairs]) => [version === null ? head : `${head}:${version}`, ...pairs].join(","));

t.test("a name is refused, or read the same when it is written again", (t) =>
	checkProperty(
		t,
		fc.property(fc.oneof(name, anyText), (text) => {
			const read = parsed(() => parseImageName(text), ["image-name-invalid"]);
			if (read === undefined) return true;
			const again = parseImageName(formatImageName(read));
			const sorted = ({ labels }: typeof read) => [...labels].sort((a, b) => (a.name < b.name ? -1 : 1));
			return again.name === read.name && isDeepStrictEqual(sorted(again), sorted(read));
		}),
	),
);
