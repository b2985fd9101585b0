from modelward.terms import EVERYTHING, Right


def test_rights_and_the_resource_for_everything_are_the_ones_clients_use(data_share):
    assert data_share.view("READ") == Right.READ
    assert data_share.view("INFER") == Right.INFER
    assert data_share.view("SERVE") == Right.SERVE
    assert data_share.view("EVERYTHING") == EVERYTHING
