// A fit's whole state in one safetensors file: parameters, buffers (running statistics, observers), velocities, what methods
// keep, position.
#pragma once
#include <string>

#include "optim/trainer.h"

namespace octet::optim {

/// What a checkpoint says beside tensors.
struct Position {
  std::int64_t epoch = 0, batch = 0, step = 0;
  Scores scores;  ///< of the epoch so far
};

/// Atomic (core/file.h); no timestamps, so equal states give equal bytes. `methods`: Method::state().
void save_checkpoint(const std::string& path, const std::string& tag, const nn::Module& model,
                     const Momentum& optimizer, const Position& position, const nn::Module::NamedTensors& methods = {});
/// Restores model, optimizer and methods. Throws Error when the file is damaged, of another tag, or does not fit them; they are
/// then as before.
Position load_checkpoint(const std::string& path, const std::string& tag, nn::Module& model, Momentum& optimizer,
                         const nn::Module::NamedTensors& methods = {});
/// What fit the checkpoint belongs to (FitOptions::tag). Throws Error when the file is damaged or no checkpoint.
std::string checkpoint_tag(const std::string& path);

/// A model's state alone: what `fp32.safetensors` and `qat.safetensors` hold. `notes` go into the file's metadata.
void save_model(const std::string& path, const nn::Module& model, const std::map<std::string, std::string>& notes);
/// Loads it back and returns the notes. Throws Error naming file and tensor when it does not fit.
std::map<std::string, std::string> load_model(const std::string& path, nn::Module& model);

}  // namespace octet::optim
