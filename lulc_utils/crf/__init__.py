"""Fully connected CRF: sharpen class probabilities along the edges of the image (Krähenbühl & Koltun, NIPS 2011).

Every pixel talks to every other one: "we look alike and stand close, so we should have the same class". How much
i listens to j is a Gaussian kernel k(i, j) of the difference of their positions (smoothness), plus one of the
difference of their positions and colors (appearance). Mean field inference repeats

    q_i  <-  softmax( log p_i  +  sum over kernels of  compatibility * sum over j of  k(i, j) q_j )      (Potts model)

The sum over j is a filter. With N pixels it would cost N * N; here it costs about N:

* smoothness: a separable Gaussian, cut off at five sigmas;
* appearance: pixels are points in five dimensions (2 of position, 3 of color). They hand their q to the corners of
  the simplex around them in the permutohedral lattice (Adams, Baek & Davis 2010), the corners mix with their
  neighbors in each of the six directions of the lattice, and the pixels read the result from the same corners.

Conventions are those of pydensecrf, whose numbers the literature quotes: both kernels are normalized on both sides,
k(i, j) / sqrt(d_i d_j) with d = the sum of a row; probabilities are clipped at 1e-5 before the logarithm; and the sum
over j INCLUDES j = i, although the paper leaves it out (a pixel like no other hears mostly itself).

The lattice is an approximation. On crops of 64 x 64 pixels of a simulated photograph the marginals differ by 0.001 on
average from those of all pairs, and 0.2 to 0.5 % of the pixels get another class; for pydensecrf it is 0.3 to 0.8 %.
Single pixels on the brink between two classes can differ by almost 1.
"""

from lulc_utils.crf.mean_field import dense_crf

__all__ = ["dense_crf"]
