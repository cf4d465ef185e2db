"""CNN-SLAM (Tateno et al., CVPR 2017): dense, metric, labelled monocular SLAM on a learned depth."""
