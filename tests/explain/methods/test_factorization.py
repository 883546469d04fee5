"""Deep Feature Factorization: values worked out by hand, then agreement with scipy and pytorch-grad-cam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from peers import require_peer

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.explain.methods import parse_method
from streamcam.explain.methods.factorization import dff, factorize, project


def test_a_projection_worked_out_by_hand() -> None:
    """Of (3, -1) only the first axis is left; of (2, 2) the diagonal explains all."""
    basis = torch.tensor([[1.0, 0, 0], [1, 1, 0]])
    values = torch.tensor([[3.0, 0, 0], [2, 2, 5], [1, 3, 0], [0, 0, 0], [3, 2, 0]])
    expected = torch.tensor([[3.0, 0], [0, 2], [0, 2], [0, 0], [1, 2]])
    torch.testing.assert_close(project(values, basis), expected)


def test_what_is_not_finite_has_no_projection() -> None:
    values = torch.tensor([[1.0, torch.nan], [2.0, 0.0]])
    found = project(values, torch.eye(2))
    assert found[0].isnan().all()
    torch.testing.assert_close(found[1], torch.tensor([2.0, 0.0]))


def test_projections_are_those_of_scipy() -> None:
    nnls = require_peer("scipy.optimize").nnls
    generator = torch.Generator().manual_seed(0)
    basis = torch.rand(6, 20, generator=generator)
    values = torch.rand(50, 20, generator=generator)
    expected = [nnls(basis.double().numpy().T, row)[0] for row in values.double().numpy()]
    np.testing.assert_allclose(project(values, basis).numpy(), np.stack(expected), atol=1e-5)


def test_concepts_that_are_there_are_found_and_keep_their_order() -> None:
    """Every place is one of two concepts alone, so the factorization is exact."""
    concepts = torch.tensor([[0.0, 2, 2, 0], [3, 0, 0, 0]])
    values = torch.tensor([[0.0, 1], [2, 0], [0, 0.5], [1, 0]]) @ concepts
    found = factorize(values, 2)
    torch.testing.assert_close(project(values, found) @ found, values, rtol=1e-3, atol=1e-3)
    first = found.argmax(dim=1)
    again = factorize(values[[3, 2, 1, 0]], 2, found.flip(0))
    assert again.argmax(dim=1).tolist() == first.flip(0).tolist()
    assert project(values, found).amax(dim=0).tolist() == pytest.approx([1, 1], rel=0.05)


def test_more_concepts_than_there_is_anything_for_are_empty() -> None:
    found = factorize(torch.tensor([[0.0, 2.0], [0.0, 4.0]]), 3)
    assert (found.norm(dim=1) > 0).tolist() == [True, False, False]


def test_maps_are_of_what_is_positive() -> None:
    activations = torch.tensor([[[[1.0, -5.0]], [[0.0, 3.0]]]])
    maps = dff(activations, torch.tensor([[2.0, 0.0], [0.0, 1.0]]), concepts=2)
    torch.testing.assert_close(maps, torch.tensor([[[[0.5, 0.0]], [[0.0, 3.0]]]]))


@pytest.mark.filterwarnings("ignore")
def test_the_factorization_is_as_good_as_that_of_pytorch_grad_cam() -> None:
    """Its factors depend on chance, so what is compared is what they leave unexplained."""
    peer = require_peer("pytorch_grad_cam.feature_factorization.deep_feature_factorization")
    generator = torch.Generator().manual_seed(3)
    hidden = torch.rand(5, 32, generator=generator).pow(3)
    activations = (torch.rand(49, 5, generator=generator).pow(3) @ hidden).T.reshape(1, 32, 7, 7)
    activations = activations + 0.05 * torch.rand(activations.shape, generator=generator)
    activations[:, :, 0, 0] = 0  # so that its offset is 0, as after a ReLU
    concepts, maps = peer.dff(activations.numpy(), n_components=5)
    theirs = np.einsum("kc,nchw->nkhw", concepts, maps)
    basis = factorize(activations.flatten(2)[0].T, 5)
    ours = torch.einsum("ck,nchw->nkhw", basis, dff(activations, basis))
    left = np.linalg.norm(activations.numpy() - theirs)
    assert float((activations - ours).norm()) <= 1.02 * left
    # For its own concepts, the projection is at least as close as the maps that it gives.
    projected = dff(activations, torch.from_numpy(np.ascontiguousarray(concepts.T, np.float32)))
    mine = np.einsum("kc,nchw->nkhw", concepts, projected.numpy())
    assert np.linalg.norm(activations.numpy() - mine) <= left + 1e-4


def test_how_many_concepts_are_refused() -> None:
    assert parse_method("dff:concepts=6") == ("dff", {"concepts": 6})
    with pytest.raises(InvalidArgumentError, match="dff:concepts is 6 at most, not 7"):
        parse_method("dff:concepts=7")
    with pytest.raises(InvalidArgumentError, match="above 0"):
        parse_method("dff:concepts=0")
    with pytest.raises(UnknownNameError):
        parse_method("dff:parts=3")
