// One self-contained HTML page of an experiment: its tables, curves and cells, from a file without any network or live
// from `silc serve`. No LibTorch.
//
// A page is made of sections, each by a function of its own (registry/page/sections.h), and of parts: what is looked at
// only when asked for, as the plot of another metric or the details of a cell. In a file all parts lie in the page;
// from a server they are fetched one by one.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "registry/gallery.h"
#include "registry/report.h"

namespace silc {

// Text that is HTML already: made of escape_markup() and of tags.
using Html = std::string;

struct PageSection {
  std::string id;     // "curves": its anchor
  std::string title;  // of its heading, and in the navigation
  Html html;          // empty: the section is left out
};

struct PagePart {
  std::string id;  // "curves:loss"; unique
  std::function<Html()> html;
};

struct Page {
  std::string title;
  Html head;  // what stands below the title: the experiment, and how far its cells are
  std::vector<PageSection> sections;
  std::vector<PagePart> parts;
};

// What one page has read, for the next one of the same tables: curves of rows that have not changed, and pictures of
// the same cells, are not read again.
class PageCache;
std::shared_ptr<PageCache> make_page_cache();

struct PageRequest {
  // Whose rows the tables have; in the same order and with the same labels as for build_joint_table(), if there are
  // several.
  std::vector<ExperimentSource> sources;
  std::vector<Table> tables;                       // measured ones first
  bool live = false;                               // from a server: parts are fetched, so all of them may be there
  std::vector<std::string> words = {};             // texts that patches of pictures are compared with
  std::map<std::string, std::string> faults = {};  // why pictures are missing, as Gallery::page() takes them
  std::shared_ptr<PageCache> cache = nullptr;
};

// A file holds the details of so many cells at most, a page the curves of so many rows, and one of its plots so many
// rows of a table; all of them say so.
inline constexpr std::size_t kMostDetailedCells = 300;
inline constexpr std::size_t kMostCurveRows = 40;
inline constexpr std::size_t kMostPlottedRows = 60;

// Reads what it shows from the registries and run folders. The registries must outlive the parts, which read them.
Page make_page(PageRequest request);

// Whose pictures the page shows: what Gallery::wishes() of it names should be there before.
GalleryRequest gallery_request(const PageRequest& request);

// The page as a file. Only its own script may run in it, and nothing in it can reach a network (its
// Content-Security-Policy).
std::string format_page(const Page& page);

// The page as `silc serve` sends it: without parts, and allowed to ask its own server for them.
std::string format_live_page(const Page& page);
// What stands in its element of id "navigation".
Html format_navigation(const Page& page);

// What stands in the page's <main>: the sections, each in an element of its id.
Html format_section(const PageSection& section);

// Every plot of the page as files fit for a paper, "TABLE-METRIC-one-column.svg" and "…-two-columns.svg"; returns their
// names. Throws silc::Error if they cannot be written.
std::vector<std::string> write_plots(const PageRequest& request, const std::filesystem::path& folder);

}  // namespace silc
