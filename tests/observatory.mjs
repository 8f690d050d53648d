// Grades pages by the rules of the HTTP Observatory, which itself scans public hosts only:
// its own code judges here what a server of a test has answered.
import { readFileSync } from "node:fs";
import { argv } from "node:process";

const [folder, file] = argv.slice(2);
const load = (path) => import(`${folder}/src/${path}.js`);
const [{ AxiosHeaders }, constants, charts, grader, session, utils, types] = await Promise.all([
  import(`${folder}/../../axios/index.js`),
  load("constants"),
  load("grader/charts"),
  load("grader/grader"),
  load("retriever/session"),
  load("retriever/utils"),
  load("types"),
]);

function response({ status, headers, body }) {
  return { status, statusText: "", headers: new AxiosHeaders(headers), data: body, verified: true };
}

async function grade(page) {
  const url = new URL(page.url);
  const requests = new types.Requests(url.hostname);
  requests.responses.auto = response(page);
  requests.responses.https = response(page);
  requests.responses.cors = response(page.preflight);
  requests.responses.http = response(page.plain);
  requests.responses.httpRedirects = [
    { url: new URL(page.url.replace("https:", "http:")), status: page.plain.status },
    { url: new URL(page.plain.headers.location), status: page.status },
  ];
  requests.resources.path = page.body;
  requests.responses.auto.httpEquiv = utils.parseHttpEquivHeaders(page.body, page.url);
  requests.session = new session.Session(url);
  requests.session.url = url;
  for (const cookie of page.cookies) {
    await requests.session.jar.setCookie(cookie, page.url);
  }
  const results = constants.ALL_TESTS.map((test) => test(requests)).filter(({ result }) => result);
  const modifiers = results.map(({ result }) => grader.getScoreModifier(result));
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 100);
  const strict = sum(modifiers.filter((modifier) => modifier < 0));
  const score = strict >= charts.MINIMUM_SCORE_FOR_EXTRA_CREDIT ? sum(modifiers) : strict;
  const failed = results.filter(({ pass }) => !pass).map(({ result }) => result);
  return { ...grader.getGradeForScore(score), failed };
}

const pages = JSON.parse(readFileSync(file, "utf8"));
console.log(JSON.stringify(await Promise.all(pages.map(grade))));
