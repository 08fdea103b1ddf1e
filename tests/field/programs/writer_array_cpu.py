# https://github.com/ekosman/AnomalyDetectionCVPR2018-Pytorch/issues/28
# causes: why
# tensor: feature
# repair: line

import torch
import torch.nn as nn


class FeaturesWriter:
    def __init__(self, chunk_size=4):
        self.chunk_size = chunk_size
        self.path, self.data, self.dumped = None, {}, {}

    def _init_video(self, video_name, dir):
        self.path = f"{dir}/{video_name}.txt"
        self.data = {}

    def dump(self):
        if self.path is not None:
            means = [sum(self.data[key]) / len(self.data[key]) for key in sorted(self.data)]
            self.dumped[self.path] = [round(float(m), 4) for m in means]

    def store(self, feature, idx):
        self.data[idx] = list(feature.cpu().numpy())

    def write(self, feature, video_name, idx, dir):
        if self.path is None or video_name not in self.path:
            self.dump()
            self._init_video(video_name, dir)
        self.store(feature, idx)


torch.manual_seed(0)
network = nn.Sequential(nn.Conv3d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
features_writer = FeaturesWriter()
batches = [(torch.rand(2, 3, 4, 6, 6), torch.tensor([0, 16]), name) for name in ("car", "street")]

with torch.no_grad():
    for clips, sampled_idx, vid_name in batches:
        outputs = network(clips).detach().cpu().numpy()
        for i, start_frame in enumerate(sampled_idx.cpu().numpy()):
            features_writer.write(feature=outputs[i], video_name=vid_name, idx=start_frame, dir="out")
features_writer.dump()
print(features_writer.dumped)
