// Lighthouse on pages, one after another in one Chromium; called by tools/lighthouse.py. From stdin JSON {modules, chromium,
// flags, jobs: [{page, address, device}]}; to stdout a line of JSON for each job: {page, device, scores, lost, figures}.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { modules, chromium, flags, jobs } = JSON.parse(fs.readFileSync(0, "utf8"));
const load = (name) => import(pathToFileURL(createRequire(path.join(modules, "index.js")).resolve(name)));
const { default: lighthouse, desktopConfig } = await load("lighthouse");
const { launch } = await load("chrome-launcher");

const browser = await launch({ chromePath: chromium, chromeFlags: [...flags, "--headless=new"], logLevel: "error" });
try {
  for (const { page, address, device } of jobs) {
    const config = device === "desktop" ? desktopConfig : undefined;
    const { lhr } = await lighthouse(address, { port: browser.port, logLevel: "error", output: "json" }, config);
    if (lhr.runtimeError) throw new Error(`${page}: ${lhr.runtimeError.message}`);
    const scores = {}, lost = [];
    for (const { id, score, auditRefs } of Object.values(lhr.categories)) {
      scores[id] = Math.round(100 * score);
      for (const { id: audit, weight } of auditRefs) {
        const { score: own, title, details } = lhr.audits[audit];
        if (id === "performance" || !weight || own === null || own === 1) continue;
        const items = (details?.items ?? []).map((item) => item.node?.selector ?? item.description ?? item.url);
        lost.push(`${id}: ${title} (${audit}): ${items.filter(Boolean).slice(0, 3).join(", ")}`);
      }
    }
    const names = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift"];
    const figures = Object.fromEntries(names.map((name) => [name, lhr.audits[name].displayValue]));
    console.log(JSON.stringify({ page, device, scores, lost, figures }));
  }
} finally {
  await browser.kill();
}
