#include "schedule/illustrations.h"

#include <gmock/gmock.h>

#include "fixture.h"
#include "silc/error.h"

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// An engine that looks at the cells that are asked for one by one, as `look` says: a shell's commands, $1 the folder.
class Illustrations : public ::testing::Test {
 protected:
  Engine engine(const std::string& look) {
    const std::filesystem::path program = folder_.path() / "silc-engine";
    append(program, "#!/bin/sh\nlook() { " + look +
                        "\n}\n"
                        "for cell in $(grep -o '\"folder\":\"[a-z]*\"' | cut -d'\"' -f4); do\n"
                        "  echo \"{\\\"begin\\\": \\\"$cell\\\"}\"\n  look $cell\ndone\necho '{\"done\": true}'\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    return {program, {}};
  }

  std::map<std::string, std::string> ask(const std::string& look) {
    const nlohmann::json question = {{"cells", {{{"folder", "a"}}, {{"folder", "b"}}, {{"folder", "c"}}}}};
    return make_illustrations(engine(look), question, 1, [&](const std::string& cell) { over_.push_back(cell); });
  }

  TemporaryFolder folder_;
  std::vector<std::string> over_;
};

constexpr const char* kWell = "echo \"{\\\"illustrated\\\": \\\"$1\\\"}\"";

TEST_F(Illustrations, AreToldOneAfterTheOther) {
  EXPECT_THAT(ask(kWell), IsEmpty());
  EXPECT_THAT(over_, ElementsAre("a", "b", "c"));
}

TEST_F(Illustrations, OfOneCellMayFail) {
  EXPECT_THAT(ask(std::string("[ $1 = b ] && echo '{\"folder\": \"b\", \"fault\": \"it is gone\"}' || ") + kWell),
              ElementsAre(Pair("b", "it is gone")));
  EXPECT_THAT(over_, ElementsAre("a", "b", "c"));
}

TEST_F(Illustrations, GoOnAfterACellThatKillsItsEngine) {
  EXPECT_THAT(ask(std::string("[ $1 = b ] && kill -SEGV $$; ") + kWell),
              ElementsAre(Pair("b", "the engine was killed by signal 11 (SIGSEGV)")));
  EXPECT_THAT(over_, ElementsAre("a", "b", "c"));
}

TEST_F(Illustrations, QuoteTheLastWordsOfAnEngineThatGivesUp) {
  EXPECT_THAT(ask(std::string("[ $1 = c ] && { echo 'silc-engine: no room' >&2; exit 2; }; ") + kWell),
              ElementsAre(Pair("c", "silc-engine: no room")));
}

TEST(IllustrationsOfAnEngine, ThatDoesNotBeginAreRefused) {
  const nlohmann::json question = {{"cells", {{{"folder", "a"}}}}};
  EXPECT_THROW(make_illustrations({"/bin/false", {}}, question, 1), Error);
  EXPECT_THROW(make_illustrations({"/nowhere/silc-engine", {}}, question, 1), Error);
}

}  // namespace
}  // namespace silc
