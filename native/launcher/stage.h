// The stage: an almost empty mount namespace from which every sandbox's is copied. A copy of the host's would take
// longer with every sandbox that lives, and would show the host's tree to a child that is still being built.
#pragma once
#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

// Directories on the stage. Layers are attached at kStageLayers/0…, the upper at kStageUpper.
constexpr const char* kStageLayers = "/layers";
constexpr const char* kStageUpper = "/upper";
constexpr const char* kStageRoot = "/root";
constexpr const char* kStageFiles = "/files";
// Where /dev, /proc and /sys are made before there is a root.
constexpr const char* kStageMade = "/made";
// Only where the launcher is root of a namespace alone: devices that it may not make. /proc and /sys show it what is
// visible to it anyway, without which the kernel lets it mount neither.
constexpr const char* kStageDevices = "/dev";
constexpr int kStageLayerCount = 64;

class Stage {
 public:
  static Result<Stage> make(bool rootless);

  // The launcher goes onto the stage, and back to where it was.
  Result<> enter() const;
  Result<> leave() const;

 private:
  Stage(UniqueFd home, UniqueFd stage) : home_(std::move(home)), stage_(std::move(stage)) {}

  UniqueFd home_;
  UniqueFd stage_;
};

}  // namespace plybox
