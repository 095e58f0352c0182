#include "registry/page/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "registry/grid.h"
#include "registry/page/assets.h"
#include "registry/page/sections.h"
#include "text/markup.h"

namespace silc {

namespace {

// How many cells are in which state, in words: "7 of 12 cells finished · 1 running · 1 failed · 3 not started".
Html progress_of(const PageContext& context) {
  std::map<CellState, int64_t> counts;
  int64_t cells = 0;
  for (const PageRow& row : context.rows)
    for (const CellRecord& record : row.cells) {
      ++counts[record.state];
      ++cells;
    }
  Html html = fmt::format("<li class=\"state-finished\"><b>{}</b> of {} cell{} finished</li>",
                          counts[CellState::finished], cells, cells == 1 ? "" : "s");
  for (const auto& [state, words] :
       {std::pair{CellState::running, "running"}, std::pair{CellState::failed, "failed"},
        std::pair{CellState::interrupted, "interrupted"}, std::pair{CellState::planned, "not started"}})
    if (counts[state] > 0)
      html += fmt::format("<li class=\"state-{}\"><b>{}</b> {}</li>", state_name(state), counts[state], words);
  int64_t sick = 0;
  for (const Table& table : context.request.tables)
    for (const TableRow& row : table.rows)
      if (&table == &context.request.tables.front()) sick += static_cast<int64_t>(row.warnings.size());
  if (sick > 0)
    html += fmt::format("<li class=\"state-warning\"><b>{}</b> warning{} of sick training</li>", sick,
                        sick == 1 ? "" : "s");
  return fmt::format("<ul class=\"progress\">{}</ul>", html);
}

Html policy(bool live) {
  return fmt::format(
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src '{}'; img-src data:; connect-src {}; base-uri 'none'; form-action 'none'\">",
      page_script_hash(), live ? "'self'" : "'none'");
}

Html format(const Page& page, bool live) {
  Html sections;
  for (const PageSection& section : page.sections)
    if (!section.html.empty()) sections += format_section(section);
  Html parts;
  if (!live)
    for (const PagePart& part : page.parts)
      parts += fmt::format("<template id=\"{}\">{}</template>\n", escape_markup("part:" + part.id), part.html());
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"{}>\n<head>\n<meta charset=\"utf-8\">\n{}\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n"
      "<style>\n{}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the tables</a>\n"
      "<header class=\"top\"><h1>{}</h1>\n<div id=\"head\">{}</div></header>\n"
      "<nav class=\"bar\" aria-label=\"Sections\"><div class=\"links\" id=\"navigation\">{}</div>"
      "<label class=\"filter\"><span>Filter rows</span> <input id=\"filter\" type=\"search\" "
      "placeholder=\"Filter rows\" autocomplete=\"off\" spellcheck=\"false\"></label></nav>\n"
      "<main id=\"main\">\n{}</main>\n"
      "<dialog id=\"details\" aria-label=\"Details\"><button class=\"close\" type=\"button\" aria-label=\"Close\">✕"
      "</button><div id=\"details-body\"></div></dialog>\n<div id=\"tip\" role=\"status\" hidden></div>\n"
      "<p id=\"announcement\" class=\"quiet\" aria-live=\"polite\"></p>\n"
      "<footer>Made by silc. The page is whole in itself: it asks no other computer for anything.</footer>\n{}"
      "<script>{}</script>\n</body>\n</html>\n",
      live ? " data-live" : "", policy(live), escape_markup(page.title), page_style(), escape_markup(page.title),
      page.head, format_navigation(page), sections, parts, page_script());
}

std::string title_of(const PageRequest& request) {
  std::vector<std::string> titles;
  for (const ExperimentSource& source : request.sources) {
    const PlannedExperiment& experiment = source.experiment;
    const std::string& title = experiment.title.empty() ? experiment.name : experiment.title;
    if (std::ranges::find(titles, title) == titles.end()) titles.push_back(title);
  }
  return titles.size() == 1 ? titles.front() : "Several experiments";
}

}  // namespace

std::string attribute(std::string_view name, std::string_view value) {
  return fmt::format(" {}=\"{}\"", name, escape_markup(value));
}

Html element(std::string_view name, std::string_view text) {
  return fmt::format("<{}>{}</{}>", name, escape_markup(text), name);
}

Html choice_of_plots(const std::string& id, const std::string& label, const std::vector<Choice>& choices,
                     const Html& shown, const Html& caption) {
  Html list;
  for (const Choice& choice : choices)
    list += fmt::format("<option{}>{}</option>", attribute("value", choice.part), escape_markup(choice.label));
  const Html select = choices.size() < 2 ? element("b", choices.empty() ? label : choices.front().label)
                                         : fmt::format("<label>{} <select{}>{}</select></label>", escape_markup(label),
                                                       attribute("aria-controls", id + "-plot"), list);
  return fmt::format(
      "<figure class=\"chart\"{}><div class=\"chart-bar\">{}</div><div class=\"chart-body\"{}>{}</div>"
      "<figcaption>{}</figcaption></figure>",
      attribute("id", id), select, attribute("id", id + "-plot"), shown, caption);
}

Html format_navigation(const Page& page) {
  Html html;
  for (const PageSection& section : page.sections)
    if (!section.html.empty())
      html += fmt::format("<a href=\"#{}\">{}</a>", escape_markup(section.id), escape_markup(section.title));
  return html;
}

Html format_section(const PageSection& section) {
  return fmt::format("<section id=\"{}\" aria-labelledby=\"{}-title\"><h2 id=\"{}-title\">{}</h2>\n{}</section>\n",
                     escape_markup(section.id), escape_markup(section.id), escape_markup(section.id),
                     escape_markup(section.title), section.html);
}

Page make_page(PageRequest request) {
  const std::shared_ptr<PageContext> shared = gather(std::move(request));
  PageContext& context = *shared;
  Page page;
  page.title = title_of(context.request);
  std::string names;
  for (const ExperimentSource& source : context.request.sources)
    names += (names.empty() ? "" : ", ") + (source.label.empty() ? source.experiment.name : source.label);
  page.head = fmt::format("<p class=\"origin\">experiment{} <b>{}</b></p>{}",
                          context.request.sources.size() == 1 ? "" : "s", escape_markup(names), progress_of(context));
  page.sections = table_sections(context);
  page.sections.push_back(curves_section(context));
  page.sections.push_back(search_section(context));
  page.sections.push_back(pictures_section(context));
  page.sections.push_back(settings_section(context));
  page.sections.push_back(cells_section(context));
  std::ranges::stable_partition(page.sections,
                                [](const PageSection& section) { return !section.id.starts_with("published"); });
  // Moved out: parts hold the context.
  page.parts = std::move(context.parts);
  return page;
}

std::string format_page(const Page& page) { return format(page, false); }

std::string format_live_page(const Page& page) { return format(page, true); }

}  // namespace silc
