// Scenes of geometric shapes, drawn from formulas: needs no files.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "plugins/datasets/scene.h"

namespace silc::datasets::shapes {
namespace {

enum class Shape : int64_t { circle, square, triangle, cross, ring, diamond };

const std::vector<Noun> kNouns = {{"circle", "circles"}, {"square", "squares"}, {"triangle", "triangles"},
                                  {"cross", "crosses"},  {"ring", "rings"},     {"diamond", "diamonds"}};

// Signed distance of (x, y) to the shape's border, negative inside. Shapes fill about [-0.9, 0.9]²; y points down.
double distance(Shape shape, double x, double y) {
  const double radius = std::hypot(x, y);
  const double ax = std::abs(x);
  const double ay = std::abs(y);
  switch (shape) {
    case Shape::circle:
      return radius - 0.85;
    case Shape::ring:
      return std::abs(radius - 0.62) - 0.22;
    case Shape::square:
      return std::max(ax, ay) - 0.72;
    case Shape::diamond:
      return (ax * 1.5 + ay - 0.9) / std::hypot(1.5, 1.0);
    case Shape::cross:
      return std::min(std::max(ax - 0.85, ay - 0.26), std::max(ax - 0.26, ay - 0.85));
    case Shape::triangle:
      return std::max(y - 0.7, (ax * 1.7 - y - 0.85) / std::hypot(1.7, 1.0));
  }
  return 1;
}

class Shapes : public SceneDataset {
 public:
  explicit Shapes(const DatasetContext& context) : SceneDataset(read_scene_settings(context, "shapes"), kNouns) {}

  [[nodiscard]] std::string fingerprint() const override { return "shapes-1"; }

 private:
  void draw(const PlannedObject& object, Stencil& stencil) const override {
    // Turned by 12° at most, so that a square stays one.
    const double turn = (object.variant * 0x1.0p-32 - 0.5) * 24 * std::numbers::pi / 180;
    const double cosine = std::cos(turn);
    const double sine = std::sin(turn);
    const double half = static_cast<double>(stencil.side) / 2;
    std::size_t at = 0;
    for (int64_t row = 0; row < stencil.side; ++row) {
      for (int64_t column = 0; column < stencil.side; ++column, ++at) {
        const double x = (static_cast<double>(column) + 0.5) / half - 1;
        const double y = (static_cast<double>(row) + 0.5) / half - 1;
        const double outside =
            distance(static_cast<Shape>(object.label), cosine * x + sine * y, cosine * y - sine * x) * half;
        stencil.coverage[at] = static_cast<uint8_t>(std::clamp(0.5 - outside, 0.0, 1.0) * 255);
        stencil.shade[at] = static_cast<uint8_t>(225 - 30 * y);
      }
    }
  }
};

}  // namespace

SILC_DATASET(shapes, Shapes, 1,
             "scenes of coloured shapes with captions, labels, masks and boxes; drawn from formulas, needs no files",
             split("train", "1 000 000 scenes; all pairs of colour and shape but those of test_unseen"),
             split("validation", "1000 other scenes of the same pairs"),
             split("test", "1000 other scenes, of all pairs: seen and unseen ones mixed"),
             split("test_seen", "1000 other scenes of the pairs that training has shown"),
             split("test_unseen", "1000 scenes whose pairs of colour and shape training has not shown"), kSeed, kSize,
             kExamples, kMinObjects, kMaxObjects, kBackgroundStyle, kBackgroundLabel, kColourless, kMismatched,
             kHeldOut, kCaptions);

}  // namespace silc::datasets::shapes
