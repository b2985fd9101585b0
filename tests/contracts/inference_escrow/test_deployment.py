def test_it_goes_by_the_grants_and_the_registry_it_was_deployed_with(escrow, data_share, registry):
    assert escrow.data_share() == data_share.address
    assert escrow.registry() == registry.address
