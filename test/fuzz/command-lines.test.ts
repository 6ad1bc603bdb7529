import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import t from "tap";
import { readImageWords } from "../../stage0/cli/app-args.ts";
import { lookupIn } from "../../stage0/cli/argv.ts";
import { findCommand } from "../../stage0/cli/find-command.ts";
import { APP_OPTIONS } from "../../stage0/cli/tables/app-options.ts";
import { PREPARE_OPTIONS, START_OPTIONS } from "../../stage0/cli/tables/pod-options.ts";
import { anyText, checkProperty, parsed } from "./run-property.ts";

const podOptions = [...PREPARE_OPTIONS, ...START_OPTIONS];
const grammar = { podLookup: lookupIn(podOptions), appOptions: APP_OPTIONS, allowArguments: true };
const GRAMMAR_CODES = [
	"image-required",
	"app-arguments-repeated",
	"app-arguments-unsupported",
	"flag-repeated",
];

const flags = [...podOptions, ...APP_OPTIONS].flatMap(({ name }) => [`--${name}`, `--${name}=x`, `-${name}`]);
const word = fc.oneof(
	fc.constantFrom("--", "---", "----", "-", "", "=", "--=", "-x", "--no-such", "image", ...flags),
	anyText,
);

t.test("any words are read or refused, and no word of an app is lost or added", (t) =>
	checkProperty(
		t,
		fc.property(fc.array(word, { maxLength: 12 }), (words) => {
			const read = parsed(() => readImageWords(words, grammar), GRAMMAR_CODES);
			for (const { image, args } of read?.apps ?? []) {
				if (!words.includes(image) || args.some((arg) => !words.includes(arg))) return false;
			}
			return true;
		}),
	),
);

const argument = anyText.filter((text) => text !== "---");
const image = fc.stringMatching(/^[a-z0-9.]{1,12}$/);
const apps = fc.array(
	fc.record({
		image,
		user: fc.option(fc.oneof(image, anyText)),
		environment: fc.array(anyText, { maxLength: 3 }),
		args: fc.option(fc.array(argument, { maxLength: 4 })),
	}),
	{ minLength: 1, maxLength: 4 },
);

t.test("what was meant for each image reaches it unchanged", (t) =>
	checkProperty(
		t,
		fc.property(apps, (apps) => {
			const words = apps.flatMap(({ image, user, environment, args }) => [
				image,
				...(user === null ? [] : [`--user=${user}`]),
				...environment.map((value) => `--environment=${value}`),
				...(args === null ? [] : ["--", ...args, "---"]),
			]);
			const read = readImageWords(words, grammar).apps.map(({ image, options, args }) => ({
				image,
				args: [...args],
				options: options.map(({ spec, value }) => [spec.name, value]),
			}));
			const meant = apps.map(({ image, user, environment, args }) => ({
				image,
				args: args ?? [],
				options: [
					...(user === null ? [] : [["user", user]]),
					...environment.map((value) => ["environment", value]),
				],
			}));
			return isDeepStrictEqual(read, meant);
		}),
	),
);

t.test("the name of a command", (t) =>
	checkProperty(
		t,
		fc.property(
			fc.array(fc.oneof(fc.constantFrom("run", "image", "ls", "prep", "r", "--debug"), word)),
			(words) => {
				parsed(() => findCommand(words, lookupIn(podOptions)), ["command-unknown"]);
			},
		),
	),
);
